import type { Naming } from '../../core/mapping.ts';
import { awsNaming } from '../../providers/aws-secrets-manager/config.ts';
import { azureNaming } from '../../providers/azure-key-vault/config.ts';
import { filesNaming } from '../../providers/files/config.ts';

const NAMINGS: Readonly<Record<string, Naming>> = {
  'aws-secrets-manager': awsNaming,
  'azure-key-vault': azureNaming,
  files: filesNaming,
};

/** The naming rules of a store kind. Empty for unknown kinds and for kinds without special rules. */
export function namingOf({ kind }: { readonly kind: string }): Naming {
  return Object.hasOwn(NAMINGS, kind) ? (NAMINGS[kind] ?? {}) : {};
}
