import { stringify } from 'yaml';
import type { Json } from './node.ts';

export interface Output {
  readonly instance: string;
  readonly stores: readonly Json[];
  readonly mappings: readonly Json[];
  /** `undefined`: everybody may use everything; an empty list: nobody may use anything. */
  readonly access: readonly Json[] | undefined;
  /** Mappings that are not whole, each with the object that it is of. */
  readonly drafts: readonly { readonly of: string; readonly mapping: Json }[];
}

/** It may go into the values of a chart, and Helm reads YAML 1.1. */
const OPTIONS = { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' } as const;

export function configText({ instance, stores, mappings, access, drafts }: Output): string {
  const head =
    '# Made by `secretbridge import external-secrets`. What it could not say stands in its report.\n';
  const config = {
    apiVersion: 'secretbridge.dev/v1',
    instance,
    ...(stores.length === 0 ? {} : { stores }),
    ...(mappings.length === 0 ? {} : { mappings }),
    ...(access === undefined ? {} : { access }),
  };
  const rest = drafts.map(
    ({ of, mapping }) =>
      `\n# Not whole, and so not in force: ${inOneLine(of)}. In force as it stands, it would take keys away.\n${commented(stringify([mapping], OPTIONS))}`,
  );
  return `${head}${stringify(config, OPTIONS)}${rest.join('')}`;
}

/** A comment ends with its line, so what stands in it may not begin another. */
function inOneLine(text: string): string {
  return text.replace(/[\r\n\u0085\u2028\u2029]+/g, ' ');
}

/** What ends a line in any version of YAML: within quotes, the last three stand as they are. */
function commented(text: string): string {
  return text
    .split(/(?<=[\r\n\u0085\u2028\u2029])/)
    .map((line) => (/^[\r\n\u0085\u2028\u2029]/.test(line) ? `#${line}` : `#  ${line}`))
    .join('');
}
