import { stringify } from 'yaml';
import type { Json } from './node.ts';

export interface Output {
  readonly instance: string;
  readonly stores: readonly Json[];
  readonly mappings: readonly Json[];
  /** `undefined`: everything is allowed. An empty list: nothing is allowed. */
  readonly access: readonly Json[] | undefined;
  /** Incomplete mappings, each with its object. */
  readonly drafts: readonly { readonly of: string; readonly mapping: Json }[];
}

/** The text may be used as Helm values, and Helm reads YAML 1.1. */
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

/** Escape line breaks, which would end the comment. */
function inOneLine(text: string): string {
  return text.replace(/[\r\n\u0085\u2028\u2029]+/g, ' ');
}

/** All line breaks of any YAML version. Within quotes, the last three are literal. */
function commented(text: string): string {
  return text
    .split(/(?<=[\r\n\u0085\u2028\u2029])/)
    .map((line) => (/^[\r\n\u0085\u2028\u2029]/.test(line) ? `#${line}` : `#  ${line}`))
    .join('');
}
