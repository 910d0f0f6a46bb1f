import { createHash } from 'node:crypto';
import type { Workload } from '../core/mapping.ts';
import { compareText } from '../core/target.ts';
import { isContentDifferent } from './drift.ts';

/** The content change of a target, in the format of its audit record. */
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
 * Whether pods may have read other content before this change. A new target has no earlier content. Annotations, labels
 * and versions do not count as content.
 */
export function isContentChange({ before, after, keys }: ContentChange): boolean {
  const touched = keys.added.length + keys.changed.length + keys.removed.length;
  return touched > 0 && isContentDifferent(before, after);
}

/**
 * Returns the name of the pod template annotation that stores the fingerprint of a Secret. It contains a hash, because
 * Secret names may exceed the limit of 63 characters.
 */
export function restartAnnotation(secret: string): string {
  return `restart.secretbridge.dev/${createHash('sha256').update(secret).digest('hex').slice(0, 16)}`;
}

/**
 * The annotation that restarts pods whose template already has the fingerprint. Its value is the sequence number of the
 * change.
 */
export const RESTART_AGAIN_ANNOTATION = 'restart.secretbridge.dev/again';

/** Formats a workload for audit records: `Deployment/web`, or `Deployment with app=web,tier=front`. */
export function formatWorkload({ kind, name, selector }: Workload): string {
  if (name !== undefined) return `${kind}/${name}`;
  const labels = Object.entries(selector?.matchLabels ?? {}).sort(([a], [b]) => compareText(a, b));
  return `${kind} with ${labels.map(([label, value]) => `${label}=${value}`).join(',')}`;
}

/**
 * Parses the format of `formatWorkload`. Returns undefined for another format. Names and labels contain none of the
 * separators.
 */
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
