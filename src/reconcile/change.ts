import { type Action, type Entry, type EntrySource, type KeyChanges, MAX_VALUES } from '../audit/entry.ts';
import type { Workload } from '../core/mapping.ts';
import type { TargetId } from '../core/target.ts';
import type { KeyPlan } from '../sync/compare.ts';

/** The note of a change that only adds or releases ownership of keys. The bytes of the Secret stay the same. */
export const SAME_BYTES = 'no byte changes';

/** A change, as recorded by its intent and its outcome. */
export interface Change {
  readonly action: Action;
  readonly mapping: string;
  readonly target: TargetId;
  readonly sources: readonly EntrySource[];
  readonly keys: KeyChanges;
  /** The result of `valuesOf`. */
  readonly values?: Pick<Entry, 'values' | 'counts'>;
  readonly before?: string;
  readonly after?: string;
  /** The `resourceVersion` of the object that the change replaces. */
  readonly replaces?: string;
  /** The UID of the object to delete. */
  readonly uid?: string;
  readonly attempt: number;
  readonly startedAt: number;
  readonly note?: string;
  /** The workloads to restart if their pods may have read the previous content. */
  readonly restart?: readonly Workload[];
}

/**
 * The fingerprint of each value that a change writes.
 * @param includeKept Also include unchanged values, because the target is new or was not ours.
 */
export function valuesOf(keys: readonly KeyPlan[], includeKept: boolean): Pick<Entry, 'values' | 'counts'> {
  const written = keys.flatMap(({ name, action, after }): [string, string][] =>
    after === undefined || (action === 'keep' && !includeKept) ? [] : [[name, after]],
  );
  if (written.length === 0) return {};
  const omitted = written.length - MAX_VALUES;
  return {
    values: Object.fromEntries(written.slice(0, MAX_VALUES)),
    ...(omitted > 0 ? { counts: { valuesLeftOut: omitted } } : {}),
  };
}

export function changesOf(keys: readonly KeyPlan[]): KeyChanges {
  const namesOf = (action: KeyPlan['action']): string[] =>
    keys.filter((key) => key.action === action).map(({ name }) => name);
  return { added: namesOf('add'), changed: namesOf('change'), removed: namesOf('remove') };
}
