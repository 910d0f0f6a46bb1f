import { createHash } from 'node:crypto';
import { formatSelector, parseSelector } from '../core/label-selector.ts';
import type { Workload } from '../core/mapping.ts';
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

/** Formats a workload for audit records: `Deployment/web`, or `Deployment with app=web,tier in (a,b)`. */
export function formatWorkload({ kind, name, selector }: Workload): string {
  if (name !== undefined) return `${kind}/${name}`;
  return `${kind} with ${formatSelector(selector ?? {})}`;
}

/** Parses the format of `formatWorkload`. Returns undefined for another format. */
export function parseWorkload(text: string): Workload | undefined {
  const [, kind = '', name, labels] = /^(\w+)(?:\/([^\s/]+)| with (.+))$/.exec(text) ?? [];
  if (name !== undefined) return { kind, name };
  const selector = labels === undefined ? undefined : parseSelector(labels);
  return selector && { kind, selector };
}
