import type { Naming } from '../../core/mapping.ts';
import { awsNaming } from '../../providers/aws-secrets-manager/config.ts';
import { azureNaming } from '../../providers/azure-key-vault/config.ts';
import { filesNaming } from '../../providers/files/config.ts';

const NAMINGS: Readonly<Record<string, Naming>> = {
  'aws-secrets-manager': awsNaming,
  'azure-key-vault': azureNaming,
  files: filesNaming,
};

/** As the kind of a store has it; of one that says nothing of it, and of a kind that is none, as most have it. */
export function namingOf({ kind }: { readonly kind: string }): Naming {
  return Object.hasOwn(NAMINGS, kind) ? (NAMINGS[kind] ?? {}) : {};
}
