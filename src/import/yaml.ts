import { stringify } from 'yaml';
import type { Json } from './node.ts';

export interface Output {
  readonly instance: string;
  readonly stores: readonly Json[];
  readonly mappings: readonly Json[];
  readonly access: readonly Json[];
  /** Mappings that are not whole, each with the object that it is of. */
  readonly drafts: readonly { readonly of: string; readonly mapping: Json }[];
}

const OPTIONS = { lineWidth: 0, aliasDuplicateObjects: false } as const;

export function configText({ instance, stores, mappings, access, drafts }: Output): string {
  const head =
    '# Made by `secretbridge import external-secrets`. What it could not say stands in its report.\n';
  const config = {
    apiVersion: 'secretbridge.dev/v1',
    instance,
    ...(stores.length === 0 ? {} : { stores }),
    ...(mappings.length === 0 ? {} : { mappings }),
    ...(access.length === 0 ? {} : { access }),
  };
  const rest = drafts.map(
    ({ of, mapping }) =>
      `\n# Not whole, and so not in force: ${of}. In force as it stands, it would take keys away.\n${commented(stringify([mapping], OPTIONS))}`,
  );
  return `${head}${stringify(config, OPTIONS)}${rest.join('')}`;
}

function commented(text: string): string {
  return text.replace(/^(?=.)/gm, '#  ').replace(/^$(?=\n)/gm, '#');
}
