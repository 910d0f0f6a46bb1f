import { stringify } from 'yaml';
import type { Json } from './node.ts';

export interface Output {
  readonly instance: string;
  readonly stores: readonly Json[];
  readonly mappings: readonly Json[];
  /** `undefined`: everything is allowed. An empty list: nothing is allowed. */
  readonly access: readonly Json[] | undefined;
  /** Mappings that are incomplete, each with its original object. */
  readonly drafts: readonly { readonly of: string; readonly mapping: Json }[];
}

/** The text may be used as Helm values, so quote strings that YAML 1.1 would read differently. */
const OPTIONS = { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' } as const;

export function configText({ instance, stores, mappings, access, drafts }: Output): string {
  const head =
    '# Created by `secretbridge import external-secrets`. See its report for everything that was not converted.\n';
  const config = {
    apiVersion: 'secretbridge.dev/v1',
    instance,
    ...(stores.length === 0 ? {} : { stores }),
    ...(mappings.length === 0 ? {} : { mappings }),
    ...(access === undefined ? {} : { access }),
  };
  const rest = drafts.map(
    ({ of, mapping }) =>
      `\n# Incomplete, so not active: ${inOneLine(of)}. Activating it unchanged would remove keys.\n${commented(stringify([mapping], OPTIONS))}`,
  );
  return `${head}${stringify(config, OPTIONS)}${rest.join('')}`;
}

/** Escape line breaks, because they would end the comment. */
function inOneLine(text: string): string {
  return text.replace(/[\r\n\u0085\u2028\u2029]+/g, ' ');
}

/** The line breaks of all YAML versions. Within quotes, the last three are literal. */
function commented(text: string): string {
  return text
    .split(/(?<=[\r\n\u0085\u2028\u2029])/)
    .map((line) => (/^[\r\n\u0085\u2028\u2029]/.test(line) ? `#${line}` : `#  ${line}`))
    .join('');
}
