import { type AuditRecord, type Entry, NO_KEYS } from '../audit/entry.ts';
import { type FoundRead, objectOf, type ReadResult, refId, type StoreRef } from '../core/reading.ts';
import type { Recording } from '../core/recording.ts';
import { noReadings } from './readings.ts';
import { definitionNote, lastAbout, lastReading, readingNote } from './recall.ts';
import type { Recorder, RecorderDeps } from './recorder.ts';

type ReadRecords = Pick<Recorder, 'remade' | 'read' | 'isFailing'>;
type ReadRecordsDeps = Pick<
  RecorderDeps,
  'audit' | 'actor' | 'requestId' | 'fingerprints' | 'stores' | 'readings'
>;

/** The records of what was read: of a value that is new, of a failure that begins or changes, and of each absence. */
export function createReadRecords({
  audit,
  actor,
  requestId,
  fingerprints,
  stores,
  readings = noReadings,
}: ReadRecordsDeps): ReadRecords {
  const remade = new Set<string>();

  const entryOf = ({ store, ref }: StoreRef, durationMs: number) => {
    const note = readingNote(stores.get(store), objectOf(ref));
    const base = { actor, requestId, keys: NO_KEYS, durationMs, attempt: 1 };
    return { ...base, action: 'read', store, key: ref.key, ...note } as const;
  };
  const append = async (source: StoreRef, entry: Entry) => {
    readings.forget(source);
    try {
      return await audit.append([entry]);
    } finally {
      readings.forget(source);
    }
  };
  const lastOf = ({ store, ref }: StoreRef) =>
    lastReading(audit, { store, key: ref.key, object: objectOf(ref), version: ref.version });

  /** The last reading of this version, which after a failure is looked for further back. */
  const readingOf = async ({ store, ref }: StoreRef, version: string, before: AuditRecord | undefined) => {
    if (before?.outcome !== 'failed') return before?.sources[0]?.version === version ? before : undefined;
    const about = { store, key: ref.key, version, outcome: 'ok' } as const;
    return lastAbout(audit, about, { object: objectOf(ref) });
  };

  /** Until what the work gives is durable, whoever is next would not find it on record. */
  const inTurn = async (
    source: StoreRef,
    work: () => Promise<Recording | undefined>,
  ): Promise<Recording | undefined> => {
    const end = await readings.turn(source);
    let recording: Recording | undefined;
    try {
      recording = await work();
    } finally {
      void Promise.allSettled([recording?.durable]).then(end);
    }
    return recording;
  };

  const found = async (
    source: StoreRef,
    result: FoundRead,
    tookMs: number,
  ): Promise<Recording | undefined> => {
    const after = fingerprints.value(result.value);
    const reading = `${result.version} ${after}`;
    const known = source.ref.version === undefined ? await readings.look(source) : undefined;
    if (known?.isLast(reading)) return undefined;
    return inTurn(source, () => ofValue(source, result, { after, tookMs, keep: () => known?.keep(reading) }));
  };

  const ofValue = async (
    source: StoreRef,
    { version, value, stamp }: FoundRead,
    { after, tookMs, keep }: { readonly after: string; readonly tookMs: number; readonly keep: () => void },
  ): Promise<Recording | undefined> => {
    const { store, ref } = source;
    const { key, version: named } = ref;
    const object = objectOf(ref);
    const before = await lastOf(source);
    const isFailure = before?.outcome === 'failed';
    const same = await readingOf(source, version, before);
    const isKnown = same?.after === after;
    const isOther = !isKnown && fingerprints.isOf(same?.after ?? '', value) === false;
    // Kept on record, since whoever read it may end before the targets are written.
    const replaced = isOther ? same?.after : isKnown ? same.before : undefined;
    if (replaced !== undefined) remade.add(refId(source));
    // Mostly the last read is this one.
    if (isKnown && !isFailure) {
      if (replaced === undefined) keep();
      return undefined;
    }
    if (before !== undefined || named !== undefined) {
      const seen = await lastAbout(audit, { store, key, version, fingerprint: after }, { object });
      // A failure that has ended is news, although the value may not be.
      const since = isFailure ? before.sequence : 0;
      if (seen !== undefined && seen.sequence > since) return undefined;
    }
    const sources = [{ store, key, version }];
    const note = readingNote(stores.get(store), object, stamp);
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

  const notFound = async (
    source: StoreRef,
    result: Exclude<ReadResult, FoundRead>,
    tookMs: number,
  ): Promise<void> => {
    const { store, ref } = source;
    const { key, version: named } = ref;
    const sources = named === undefined ? [] : [{ store, key, version: named }];
    const code = result.kind === 'absent' ? 'SOURCE_ABSENT' : result.error.code;
    const entry = { ...entryOf(source, tookMs), outcome: 'failed', code, sources } as const;
    // Every reading of an absence counts towards its proof, under the definition of its store alone.
    if (code === 'SOURCE_ABSENT' || code === 'SOURCE_DELETED') {
      await append(source, { ...entry, note: definitionNote(stores.get(store), objectOf(ref)) });
      return;
    }
    // Any other failure is news only when it begins or changes.
    await inTurn(source, async () => {
      const before = await lastOf(source);
      if (before?.outcome !== 'failed' || before.code !== code) await append(source, entry);
      return undefined;
    });
  };

  const failedLast = async (source: StoreRef): Promise<boolean> => {
    const isFailed = (await lastOf(source))?.outcome === 'failed';
    // Somebody may have read it meanwhile, and knows better.
    if (readings.isFailing(source) === undefined) readings.note(source, isFailed);
    return isFailed;
  };

  return {
    remade,
    isFailing: (source) => readings.isFailing(source) ?? failedLast(source),
    async read(source, result, tookMs = 0) {
      if (result.kind !== 'found') {
        readings.note(source, result.kind === 'failed');
        await notFound(source, result, tookMs);
        return undefined;
      }
      const recording = await found(source, result, tookMs);
      // Of what could not be recorded the end is still to be told.
      const isRecorded = () => readings.note(source, false);
      if (recording === undefined) isRecorded();
      else recording.durable.then(isRecorded, () => undefined);
      return recording;
    },
  };
}
