import type { Finding } from './notes.ts';
import type { Kind } from './objects.ts';
import type { SecretCopy } from './secret-refs.ts';

export type Outcome = 'carried' | 'changed' | 'notCarried' | 'skipped';

export interface ObjectReport {
  readonly kind: Kind;
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
  /** Objects of the same API group that are neither stores nor external secrets. */
  readonly others: readonly { readonly kind: string; readonly namespace?: string; readonly name: string }[];
  readonly unreadable: readonly string[];
  readonly copies: readonly SecretCopy[];
  readonly summary: Readonly<Record<Outcome, number>>;
  /** Whether the result behaves like the original only after the user has done something. */
  readonly needsPerson: boolean;
  readonly steps: readonly Step[];
}

export interface Step {
  readonly title: string;
  readonly text: string;
  readonly commands: readonly string[];
}
