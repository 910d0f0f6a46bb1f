import { type AuditRecord, type Entry, NO_KEYS } from '../audit/entry.ts';
import type { PendingRecord } from '../core/pending-record.ts';
import { type FoundRead, objectTypeOf, type ReadResult, refId, type StoreRef } from '../core/read-result.ts';
import { definitionNote, lastRead, lastReadMatching, readNote } from './last-read-version.ts';
import { noReadDeduplication } from './read-deduplication.ts';
import type { Recorder, RecorderDeps } from './recorder.ts';

type ReadRecords = Pick<Recorder, 'replacedValues' | 'read' | 'isFailing'>;
type ReadRecordsDeps = Pick<
  RecorderDeps,
  'audit' | 'actor' | 'requestId' | 'fingerprints' | 'stores' | 'readDeduplication'
>;

/** Records reads: new values, new or changed failures, and every absence. */
export function createReadRecords({
  audit,
  actor,
  requestId,
  fingerprints,
  stores,
  readDeduplication = noReadDeduplication,
}: ReadRecordsDeps): ReadRecords {
  const replacedValues = new Set<string>();

  const entryOf = ({ store, ref }: StoreRef, durationMs: number) => {
    const note = readNote(stores.get(store), objectTypeOf(ref));
    const base = { actor, requestId, keys: NO_KEYS, durationMs, attempt: 1 };
    return { ...base, action: 'read', store, key: ref.key, ...note } as const;
  };
  const append = async (source: StoreRef, entry: Entry) => {
    readDeduplication.forget(source);
    try {
      return await audit.append([entry]);
    } finally {
      readDeduplication.forget(source);
    }
  };
  const lastReadOf = ({ store, ref }: StoreRef) =>
    lastRead(audit, { store, key: ref.key, object: objectTypeOf(ref), version: ref.version });

  /** The latest read that returned this version. If the previous read failed, searches older records. */
  const lastReadOfVersion = async (
    { store, ref }: StoreRef,
    version: string,
    previous: AuditRecord | undefined,
  ) => {
    if (previous?.outcome !== 'failed')
      return previous?.sources[0]?.version === version ? previous : undefined;
    const filter = { store, key: ref.key, version, outcome: 'ok' } as const;
    return lastReadMatching(audit, filter, { object: objectTypeOf(ref) });
  };

  /**
   * Runs the work under the source's lock until the record is durable. An earlier release would let the next reader
   * miss the record in the audit.
   */
  const exclusivePerSource = async (
    source: StoreRef,
    work: () => Promise<PendingRecord | undefined>,
  ): Promise<PendingRecord | undefined> => {
    const end = await readDeduplication.lock(source);
    let recording: PendingRecord | undefined;
    try {
      recording = await work();
    } finally {
      void Promise.allSettled([recording?.durable]).then(end);
    }
    return recording;
  };

  const recordFound = async (
    source: StoreRef,
    result: FoundRead,
    tookMs: number,
  ): Promise<PendingRecord | undefined> => {
    const after = fingerprints.value(result.value);
    const reading = `${result.version} ${after}`;
    const lookup = source.ref.version === undefined ? await readDeduplication.lookUp(source) : undefined;
    if (lookup?.isLast(reading)) return undefined;
    return exclusivePerSource(source, () =>
      recordValue(source, result, { after, tookMs, keep: () => lookup?.remember(reading) }),
    );
  };

  const recordValue = async (
    source: StoreRef,
    { version, value, stamp }: FoundRead,
    { after, tookMs, keep }: { readonly after: string; readonly tookMs: number; readonly keep: () => void },
  ): Promise<PendingRecord | undefined> => {
    const { store, ref } = source;
    const { key, version: requestedVersion } = ref;
    const object = objectTypeOf(ref);
    const previous = await lastReadOf(source);
    const isFailure = previous?.outcome === 'failed';
    const sameVersion = await lastReadOfVersion(source, version, previous);
    const isKnown = sameVersion?.after === after;
    const isReplaced = !isKnown && fingerprints.matches(sameVersion?.after ?? '', value) === false;
    // Records the replaced value, because the process may end before it writes the targets.
    const replaced = isReplaced ? sameVersion?.after : isKnown ? sameVersion.before : undefined;
    if (replaced !== undefined) replacedValues.add(refId(source));
    // Usually the latest recorded read is identical.
    if (isKnown && !isFailure) {
      if (replaced === undefined) keep();
      return undefined;
    }
    if (previous !== undefined || requestedVersion !== undefined) {
      const earlierRead = await lastReadMatching(
        audit,
        { store, key, version, fingerprint: after },
        { object },
      );
      // The end of a failure is recorded even if the value is known.
      const since = isFailure ? previous.sequence : 0;
      if (earlierRead !== undefined && earlierRead.sequence > since) return undefined;
    }
    const sources = [{ store, key, version }];
    const note = readNote(stores.get(store), object, stamp);
    const earlier = replaced === undefined ? {} : { before: replaced };
    return {
      durable: append(source, {
        ...entryOf(source, tookMs),
        outcome: 'ok',
        sources,
        ...earlier,
        after,
        ...note,
      }),
    };
  };

  const recordNotFound = async (
    source: StoreRef,
    result: Exclude<ReadResult, FoundRead>,
    tookMs: number,
  ): Promise<void> => {
    const { store, ref } = source;
    const { key, version: requestedVersion } = ref;
    const sources = requestedVersion === undefined ? [] : [{ store, key, version: requestedVersion }];
    const code = result.kind === 'absent' ? 'SOURCE_ABSENT' : result.error.code;
    const entry = { ...entryOf(source, tookMs), outcome: 'failed', code, sources } as const;
    // Every read of an absent source counts toward the proof of its absence, for this store definition only.
    if (code === 'SOURCE_ABSENT' || code === 'SOURCE_DELETED') {
      await append(source, { ...entry, note: definitionNote(stores.get(store), objectTypeOf(ref)) });
      return;
    }
    // Any other failure is recorded only when it begins or changes.
    await exclusivePerSource(source, async () => {
      const previous = await lastReadOf(source);
      if (previous?.outcome !== 'failed' || previous.code !== code) await append(source, entry);
      return undefined;
    });
  };

  const lastReadFailed = async (source: StoreRef): Promise<boolean> => {
    const isFailed = (await lastReadOf(source))?.outcome === 'failed';
    // Keep the result of a concurrent read, which is newer.
    if (readDeduplication.isFailing(source) === undefined) readDeduplication.setFailing(source, isFailed);
    return isFailed;
  };

  return {
    replacedValues,
    isFailing: (source) => readDeduplication.isFailing(source) ?? lastReadFailed(source),
    async read(source, result, tookMs = 0) {
      if (result.kind !== 'found') {
        readDeduplication.setFailing(source, result.kind === 'failed');
        await recordNotFound(source, result, tookMs);
        return undefined;
      }
      const recording = await recordFound(source, result, tookMs);
      // Clear the failure only after the record is durable. If the append fails, a later read must record the end of
      // the failure.
      const isRecorded = () => readDeduplication.setFailing(source, false);
      if (recording === undefined) isRecorded();
      else recording.durable.then(isRecorded, () => undefined);
      return recording;
    },
  };
}
