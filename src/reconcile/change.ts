import { type Action, type Entry, type EntrySource, type KeyChanges, MOST_VALUES } from '../audit/entry.ts';
import type { Workload } from '../core/mapping.ts';
import type { TargetId } from '../core/target.ts';
import type { KeyPlan } from '../sync/compare.ts';

/** The note of a change that takes up or lets go of keys, and leaves every byte of its Secret as it is. */
export const SAME_BYTES = 'no byte changes';

/** What a change does, for its intent and its outcome alike. */
export interface Change {
  readonly action: Action;
  readonly mapping: string;
  readonly target: TargetId;
  readonly sources: readonly EntrySource[];
  readonly keys: KeyChanges;
  /** What `valuesOf` gives. */
  readonly values?: Pick<Entry, 'values' | 'counts'>;
  readonly before?: string;
  readonly after?: string;
  /** The `resourceVersion` of the object that it replaces. */
  readonly replaces?: string;
  /** Of an object that is to be deleted. */
  readonly uid?: string;
  readonly attempt: number;
  readonly startedAt: number;
  readonly note?: string;
  /** To be rolled when it changes what pods may have read. */
  readonly restart?: readonly Workload[];
}

/**
 * The fingerprint of each value that a change gives a target.
 * @param whole The target is new or was not ours, so that values which stay as they are come under us as well.
 */
export function valuesOf(keys: readonly KeyPlan[], whole: boolean): Pick<Entry, 'values' | 'counts'> {
  const given = keys.flatMap(({ name, action, after }): [string, string][] =>
    after === undefined || (action === 'keep' && !whole) ? [] : [[name, after]],
  );
  if (given.length === 0) return {};
  const left = given.length - MOST_VALUES;
  return {
    values: Object.fromEntries(given.slice(0, MOST_VALUES)),
    ...(left > 0 ? { counts: { valuesLeftOut: left } } : {}),
  };
}

export function changesOf(keys: readonly KeyPlan[]): KeyChanges {
  const named = (action: KeyPlan['action']): string[] =>
    keys.filter((key) => key.action === action).map(({ name }) => name);
  return { added: named('add'), changed: named('change'), removed: named('remove') };
}
