import { createHash } from 'node:crypto';
import type { Workload } from '../core/mapping.ts';
import { compareText } from '../core/target.ts';
import { isContentDifferent } from './drift.ts';

/** What a change did to the content of a target, as its record has it. */
export interface ContentChange {
  readonly before?: string;
  readonly after?: string;
  readonly keys: {
    readonly added: readonly string[];
    readonly changed: readonly string[];
    readonly removed: readonly string[];
  };
}

/**
 * Whether what pods may have read is another now. A target that is new has been read by nobody; annotations, labels and
 * versions with the same bytes are no content.
 */
export function isContentChange({ before, after, keys }: ContentChange): boolean {
  const touched = keys.added.length + keys.changed.length + keys.removed.length;
  return touched > 0 && isContentDifferent(before, after);
}

/**
 * The annotation of a pod template that names the fingerprint of a Secret. Names of Secrets may be longer than the 63
 * characters that the name of an annotation may have.
 */
export function restartAnnotation(secret: string): string {
  return `restart.secretbridge.dev/${createHash('sha256').update(secret).digest('hex').slice(0, 16)}`;
}

/** The same of a restart for a content whose fingerprint the template has already, by the record of the change. */
export const RESTART_AGAIN_ANNOTATION = 'restart.secretbridge.dev/again';

/** A workload of a mapping as records name it: `Deployment/web`, or `Deployment with app=web,tier=front`. */
export function formatWorkload({ kind, name, selector }: Workload): string {
  if (name !== undefined) return `${kind}/${name}`;
  const labels = Object.entries(selector?.matchLabels ?? {}).sort(([a], [b]) => compareText(a, b));
  return `${kind} with ${labels.map(([label, value]) => `${label}=${value}`).join(',')}`;
}

/** `undefined`: it is not of that form. Neither names nor labels hold any of the characters between them. */
export function parseWorkload(text: string): Workload | undefined {
  const [, kind = '', name, labels] = /^(\w+)(?:\/([^\s/]+)| with (\S+))$/.exec(text) ?? [];
  if (name !== undefined) return { kind, name };
  if (labels === undefined) return undefined;
  const pairs = labels.split(',').map((pair) => {
    const separator = pair.indexOf('=');
    return separator < 1 ? undefined : ([pair.slice(0, separator), pair.slice(separator + 1)] as const);
  });
  const validPairs = pairs.filter((pair) => pair !== undefined);
  return validPairs.length === pairs.length
    ? { kind, selector: { matchLabels: Object.fromEntries(validPairs) } }
    : undefined;
}
