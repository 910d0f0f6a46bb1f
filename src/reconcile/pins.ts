import type { LastPins } from '../audit/decisions.ts';
import type { AuditRecord, Entry } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import { type ReadResult, refId, type StoreRef } from '../core/read-result.ts';
import type { TargetId } from '../core/target.ts';
import type { TargetSource } from '../sync/ownership-metadata.ts';
import { PIN_REMEDY, type Pin, type Pinned } from '../sync/pin.ts';
import type { GatherDeps } from './gather.ts';
import { CHANGE_ACTIONS, lastChange, latestRecord } from './latest-records.ts';

// Pins are stored only in the audit: the last `rollback` or `unpin` record of a target decides whether it is pinned
// (`audit/last-pins.ts`).

export interface RecordedPin extends Pin {
  /** False for a record of a release that did not authenticate records. Such a pin must be confirmed by a person. */
  readonly isConfirmed: boolean;
  /** The record of the rollback. Undefined while the rollback is only planned. */
  readonly record?: AuditRecord;
  /**
   * Returns the fingerprints of a source version that were recorded before the record to which the target is pinned.
   */
  readonly fingerprintsAtPin: (
    source: Pick<TargetSource, 'store' | 'key' | 'version'>,
  ) => Promise<readonly string[]>;
}

interface PinReader {
  readonly audit: Pick<AuditStore, 'list'>;
  readonly pins: Pick<LastPins, 'last'>;
  readonly instances: readonly string[];
}

/** Reads the pin of a target. @throws AppError AUDIT_UNAVAILABLE, AUDIT_TRUNCATED */
export async function readPin(
  { audit, pins, instances }: PinReader,
  mapping: string,
  target: TargetId,
): Promise<RecordedPin | undefined> {
  const last = await pins.last(mapping, target);
  const pin = last && pinOf(last.record);
  return pin && { ...recordedPin(audit, pin, instances), isConfirmed: last.isConfirmed, record: last.record };
}

/**
 * Whether the next write of a target carries out a rollback: no write has begun since the rollback was recorded. A
 * rollback that changed nothing is carried out already.
 */
export async function isRollbackPending(
  { audit, pins, instances }: PinReader & { readonly audit: Pick<AuditStore, 'list' | 'latest'> },
  mapping: string,
  target: TargetId,
): Promise<boolean> {
  const record = (await readPin({ audit, pins, instances }, mapping, target))?.record;
  if (record === undefined || record.counts?.unchanged !== undefined) return false;
  const last = await lastChange(audit, mapping, target, instances);
  if (last === undefined) return true;
  // The outcome of a write that was running during the rollback is newer than the rollback.
  const filter = { mapping, ...target, request: last.requestId, phase: 'intent' } as const;
  const intent = await latestRecord(audit, filter, CHANGE_ACTIONS, instances);
  return (intent ?? last).sequence < (record.counts?.copyOf ?? record.sequence);
}

/**
 * The maximum number of records about reads of one version. An object has several values under one version only if the
 * store restarted its version numbers, so 20 records are enough.
 */
const MAX_READ_RECORDS = 20;

export function recordedPin(
  audit: Pick<AuditStore, 'list'>,
  pin: Pin,
  instances: readonly string[],
): RecordedPin {
  return {
    ...pin,
    isConfirmed: true,
    async fingerprintsAtPin({ store, key, version }) {
      const read = { store, key, version, action: 'read', outcome: 'ok' } as const;
      const page = { limit: MAX_READ_RECORDS, before: pin.to };
      const results = await Promise.all(instances.map((instance) => audit.list({ ...read, instance }, page)));
      return results.flat().flatMap(({ after }) => after ?? []);
    },
  };
}

/**
 * Wraps `read` for a pinned target. If a pinned version is missing or has another value, it counts as gone, because the
 * key may have been recreated. A pinned source never counts as absent, so no key is removed from the target.
 */
export function readPinned(
  pin: RecordedPin,
  { refs: pinned, mapping: { softDeletedIsMissing } }: Pinned,
  { read, fingerprints }: Pick<GatherDeps, 'read'> & { readonly fingerprints: Fingerprinter },
): GatherDeps['read'] {
  const isDifferentValue = async ({ store, ref }: StoreRef, result: ReadResult): Promise<boolean> => {
    if (result.kind !== 'found' || ref.version === undefined) return false;
    const fingerprintsThen = await pin.fingerprintsAtPin({ store, key: ref.key, version: ref.version });
    const comparable = fingerprintsThen.flatMap(
      (fingerprint) => fingerprints.matches(fingerprint, result.value) ?? [],
    );
    return comparable.length > 0 && !comparable.includes(true);
  };
  const checkPinned = async (ref: StoreRef, result: ReadResult): Promise<ReadResult> => {
    if (result.kind === 'absent') return versionGone();
    if (result.kind === 'failed') {
      const { code, detail } = result.error;
      const isGone = code === 'VERSION_GONE' || (code === 'SOURCE_DELETED' && softDeletedIsMissing);
      return isGone ? versionGone(code === 'VERSION_GONE' ? detail : undefined) : result;
    }
    return (await isDifferentValue(ref, result))
      ? versionGone('another value is stored under this version now')
      : result;
  };
  return async (refs) => {
    const results = new Map(await read(refs));
    for (const ref of refs) {
      const result = results.get(refId(ref));
      if (result !== undefined && pinned.has(refId(ref)))
        results.set(refId(ref), await checkPinned(ref, result));
    }
    return results;
  };
}

/** Creates the result for a version that is gone. The caller adds the source as the subject of the error. */
function versionGone(detail?: string): ReadResult {
  const error = new AppError('VERSION_GONE', {
    ...(detail === undefined ? {} : { detail }),
    remedy: PIN_REMEDY,
  });
  return { kind: 'failed', error };
}

/**
 * Returns the note of a rollback. It contains the sequence of the record to roll back to, and the hashes of the store
 * definitions at the time of the rollback.
 */
export function pinNote({ to, stores }: Pick<Pin, 'to' | 'stores'>): string {
  return [`to record ${to}`, ...[...stores].map(([name, hash]) => `${name}@${shortHash(hash)}`)].join(' ');
}

/** Returns the start of the hash. It is long enough to distinguish two definitions of the same store name. */
export function shortHash(definition: string): string {
  return definition.slice(0, 8);
}

/** Returns the sequence of the record to which this `rollback` record pins a target. */
export function pinnedTo(record: Pick<Entry, 'action' | 'sources' | 'note'>): number | undefined {
  return pinOf(record)?.to;
}

function pinOf({ action, sources, note = '' }: Pick<Entry, 'action' | 'sources' | 'note'>): Pin | undefined {
  if (action !== 'rollback') return undefined;
  const [, to, stores = ''] = /^to record (\d+)(.*)$/.exec(note) ?? [];
  if (to === undefined) return undefined;
  const pairs = [...stores.matchAll(/ ([^ @]+)@([^ @]+)/g)].map(
    ([, name = '', hash = '']) => [name, hash] as const,
  );
  return { to: Number(to), sources, stores: new Map(pairs) };
}
