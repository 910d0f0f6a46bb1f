import { isDeepStrictEqual } from 'node:util';
import {
  type Action,
  type AuditRecord,
  type Entry,
  type EntrySource,
  type KeyChanges,
  MAX_VALUES,
  NO_KEYS,
} from '../audit/entry.ts';
import type { Workload } from '../core/mapping.ts';
import type { TargetId } from '../core/target.ts';
import type { KeyPlan } from '../sync/drift.ts';
import { formatWorkload, isContentChange } from '../sync/restart.ts';

/** The note of a change that leaves all bytes of the Secret unchanged. It only changes which of the keys we own. */
export const SAME_BYTES = 'no byte changes';

/** A change. Its intent and its outcome contain these fields. */
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
  /** The sequence of the request that allows the change. */
  readonly approval?: number | undefined;
  /** The workloads to restart after the change, if their pods may have read the previous content. */
  readonly restart?: readonly Workload[];
}

/** The deletion of a target, or the removal of our keys from a Secret into which they were merged. */
export interface Removal {
  readonly action: 'delete' | 'update';
  readonly mapping: string;
  readonly target: TargetId;
}

/**
 * Returns the fingerprint of each value that a change writes.
 * @param includeKept Whether to include unchanged values. They are included if the target is new or was not ours
 * before.
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

/**
 * Returns the restart intents after a successful write. Returns none if the content that pods may have read did not
 * change.
 */
export function restartIntents(written: Entry, restart: readonly Workload[]): readonly Entry[] {
  if (written.outcome !== 'ok' || !isContentChange(written)) return [];
  const { actor, requestId, mapping, namespace, secret, after } = written;
  return restart.map((workload, index) => ({
    actor,
    requestId,
    phase: 'intent',
    action: 'restart',
    ...(mapping === undefined ? {} : { mapping }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(secret === undefined ? {} : { secret }),
    outcome: 'ok',
    sources: [],
    keys: NO_KEYS,
    ...(after === undefined ? {} : { after }),
    note: formatWorkload(workload),
    durationMs: 0,
    // The number tells the workloads of one write apart.
    attempt: index + 1,
  }));
}

/** The fields that connect an outcome to its intent. */
export interface ChangeId {
  readonly requestId: string;
  readonly target: TargetId;
  readonly attempt: number;
}

/**
 * The changes of this process without a recorded outcome. Either the append of the outcome failed, or the cluster did
 * not report the result. Only this process knows whether such a write is still running, so it resolves these intents
 * itself.
 */
export interface UnresolvedIntents {
  add(change: ChangeId): void;
  has(intent: AuditRecord): boolean;
  /** Reads the unresolved intents. Forgets the changes whose intents have been resolved. */
  refresh(find: () => Promise<readonly AuditRecord[]>): Promise<readonly AuditRecord[]>;
}

export function createUnresolvedIntents(): UnresolvedIntents {
  const ids = new Set<string>();
  return {
    add: (change) => void ids.add(formatChangeId(change)),
    has: (intent) => intent.action !== 'restart' && ids.has(formatChangeId(changeIdOf(intent))),
    async refresh(find) {
      const previous = [...ids];
      const intents = await find();
      const writes = intents.filter(({ action }) => action !== 'restart');
      const stillOpen = new Set(writes.map((intent) => formatChangeId(changeIdOf(intent))));
      for (const id of previous) if (!stillOpen.has(id)) ids.delete(id);
      return intents;
    },
  };
}

function changeIdOf({ requestId, namespace = '', secret = '', attempt }: AuditRecord): ChangeId {
  return { requestId, target: { namespace, secret }, attempt };
}

function formatChangeId({ requestId, target: { namespace, secret }, attempt }: ChangeId): string {
  return JSON.stringify([requestId, namespace, secret, attempt]);
}

/** Whether a record names these keys. A record of very many keys names only the first ones. */
export function hasKeys(record: AuditRecord | undefined, keys: KeyChanges): boolean {
  if (record === undefined) return false;
  const isShortened = (record.counts?.keysLeftOut ?? 0) > 0;
  const partOf = (all: readonly string[], some: readonly string[]): readonly string[] =>
    isShortened ? all.slice(0, some.length) : all;
  return isDeepStrictEqual(record.keys, {
    added: partOf(keys.added, record.keys.added),
    changed: partOf(keys.changed, record.keys.changed),
    removed: partOf(keys.removed, record.keys.removed),
  });
}
