import { stringify } from 'yaml';
import type { Finding, Json } from './node.ts';
import type { Step } from './steps.ts';
import type { SecretCopy } from './store.ts';

export type Outcome = 'carried' | 'changed' | 'notCarried' | 'skipped';

export interface ObjectReport {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly outcome: Outcome;
  /** Names of the created stores or mappings. */
  readonly becomes: readonly string[];
  readonly findings: readonly Finding[];
}

export interface ImportResult {
  /** The created configuration as YAML. */
  readonly config: string;
  readonly objects: readonly ObjectReport[];
  /** Objects of the tool's API groups whose kind or version is not converted. */
  readonly others: readonly { readonly kind: string; readonly namespace?: string; readonly name: string }[];
  readonly unreadable: readonly string[];
  readonly copies: readonly SecretCopy[];
  readonly summary: Readonly<Record<Outcome, number>>;
  /** Whether the result behaves like the original only after the user has done something. */
  readonly needsPerson: boolean;
  readonly steps: readonly Step[];
}

interface Draft {
  readonly of: string;
  readonly mapping: Json;
  /** The mapping is complete, but a person decides whether to activate it. */
  readonly isProposed?: true;
}

export interface Output {
  /** The command that creates the file. */
  readonly command: string;
  /** `undefined` if another file names the installation. */
  readonly instance?: string;
  readonly stores: readonly Json[];
  readonly mappings: readonly Json[];
  /** `undefined`: everything is allowed. An empty list: nothing is allowed. */
  readonly access: readonly Json[] | undefined;
  readonly windows?: readonly Json[];
  /** The mappings that are not active. Each is listed with the object that it was converted from. */
  readonly drafts: readonly Draft[];
}

/** The text may be used as Helm values, so quote strings that YAML 1.1 would not read as strings. */
const OPTIONS = { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' } as const;

export function configText({
  command,
  instance,
  stores,
  mappings,
  access,
  windows = [],
  drafts,
}: Output): string {
  const head = `# Created by \`secretbridge import ${command}\`. See its report for everything that was not converted.\n`;
  const config = {
    apiVersion: 'secretbridge.dev/v1',
    ...(instance === undefined ? {} : { instance }),
    ...(stores.length === 0 ? {} : { stores }),
    ...(mappings.length === 0 ? {} : { mappings }),
    ...(access === undefined ? {} : { access }),
    ...(windows.length === 0 ? {} : { windows }),
  };
  const rest = drafts.map(
    (draft) => `\n# ${headOf(draft)}\n${commented(stringify([draft.mapping], OPTIONS))}`,
  );
  return `${head}${stringify(config, OPTIONS)}${rest.join('')}`;
}

function headOf({ of, isProposed }: Draft): string {
  return isProposed
    ? `A proposal, so not active: ${inOneLine(of)}. Read its findings before you activate it.`
    : `Incomplete, so not active: ${inOneLine(of)}. Activating it unchanged would remove keys.`;
}

/** Escape line breaks, because they would end the comment. */
function inOneLine(text: string): string {
  return text.replace(/[\r\n\u0085\u2028\u2029]+/g, ' ');
}

/**
 * Turns each line into a comment. Recognizes the line breaks of all YAML versions. Quoted text may contain `\u0085`,
 * `\u2028` and `\u2029` unescaped.
 */
function commented(text: string): string {
  return text
    .split(/(?<=[\r\n\u0085\u2028\u2029])/)
    .map((line) => (/^[\r\n\u0085\u2028\u2029]/.test(line) ? `#${line}` : `#  ${line}`))
    .join('');
}
