import { type AuditRecord, type Entry, NO_KEYS } from '../audit/entry.ts';
import {
  type FoundRead,
  objectTypeOf,
  type PendingRecord,
  type ReadResult,
  refId,
  type StoreRef,
} from '../core/read-result.ts';
import { addsToProof } from './failed-reads.ts';
import { definitionNote, lastRead, lastReadMatching, readNote } from './last-read-version.ts';
import {
  type KnownRead,
  noReadDeduplication,
  type ReadDeduplication,
  type ReadLookup,
} from './read-deduplication.ts';
import type { RecorderDeps } from './recorder.ts';

type ReadRecorderDeps = Pick<
  RecorderDeps,
  'audit' | 'actor' | 'requestId' | 'fingerprints' | 'stores' | 'clock' | 'readDeduplication'
>;

/**
 * Records reads. It records new values, failures when they begin, change or end, and the readings that prove an absence.
 */
export class ReadRecorder {
  readonly replacedValues = new Set<string>();
  readonly #deps: ReadRecorderDeps;
  readonly #deduplication: ReadDeduplication;

  constructor(deps: ReadRecorderDeps) {
    this.#deps = deps;
    this.#deduplication = deps.readDeduplication ?? noReadDeduplication();
  }

  /** Appends the records of reads that are held back. */
  flush(): void {
    this.#deduplication.buffer.flush();
  }

  isFailing(source: StoreRef): boolean | Promise<boolean> {
    return this.#deduplication.isFailing(source) ?? this.#lastReadFailed(source);
  }

  async record(source: StoreRef, result: ReadResult, tookMs: number): Promise<PendingRecord | undefined> {
    if (result.kind !== 'found') {
      this.#deduplication.setFailing(source, result.kind === 'failed');
      await this.#recordNotFound(source, result, tookMs);
      return undefined;
    }
    const recording = await this.#recordFound(source, result, tookMs);
    // Mark the source as readable only after the record is durable. If the append fails, a later read must record the
    // end of the failure.
    const isRecorded = () => this.#deduplication.setFailing(source, false);
    if (recording === undefined) isRecorded();
    else recording.durable.then(isRecorded, () => undefined);
    return recording;
  }

  async #recordFound(
    source: StoreRef,
    result: FoundRead,
    tookMs: number,
  ): Promise<PendingRecord | undefined> {
    const read = { version: result.version, after: this.#deps.fingerprints.value(result.value) };
    const isCurrent = source.ref.version === undefined;
    const lookup = isCurrent ? await this.#deduplication.lookUp(source) : undefined;
    if (lookup?.compare(read) === 'same') return undefined;
    return this.#exclusivePerSource(source, () =>
      this.#recordValue(source, result, { read, lookup, tookMs }),
    );
  }

  async #recordValue(
    source: StoreRef,
    { value, stamp, createdAt }: FoundRead,
    { read, lookup, tookMs }: FoundDetails,
  ): Promise<PendingRecord | undefined> {
    const { fingerprints, stores, clock } = this.#deps;
    const { version, after } = read;
    const { store, ref } = source;
    const previous = await this.#previousRead(source, { read, createdAt, lookup });
    const { failure, sameVersion } = previous;
    const isKnown = sameVersion?.after === after;
    const isReplaced = !isKnown && fingerprints.matches(sameVersion?.after ?? '', value) === false;
    // The record also contains the fingerprint of the replaced value. If this process ends before it writes the
    // targets, the record tells the next process that the value was replaced.
    const replaced = isReplaced ? sameVersion?.after : isKnown ? sameVersion.before : undefined;
    if (replaced !== undefined) this.replacedValues.add(refId(source));
    const at = clock.now();
    const remember = () => (replaced === undefined ? lookup?.remember({ ...read, at }) : undefined);
    // In most cases the latest recorded read is identical, so there is nothing to record.
    if (isKnown && failure === undefined) {
      remember();
      return undefined;
    }
    // The end of a failure is recorded even if the value is already known.
    if (await this.#isRecordedAfter(failure?.sequence ?? 0, source, previous.mayExist, read))
      return undefined;
    const span = this.#deduplication.failures.end(source, failure);
    const entry: Entry = {
      ...this.#entryOf(source, tookMs),
      ...span,
      outcome: 'ok',
      sources: [{ store, key: ref.key, version }],
      ...(replaced === undefined ? {} : { before: replaced }),
      after,
      ...readNote(stores.get(store), objectTypeOf(ref), stamp),
    };
    this.#deduplication.forget(source);
    return { durable: this.#deduplication.buffer.add(this.#deps.audit, entry).then(remember) };
  }

  /** Queries the audit only if this process does not know the latest read for certain. */
  async #previousRead(
    source: StoreRef,
    { read, createdAt, lookup }: PreviousReadQuery,
  ): Promise<PreviousRead> {
    const { version, after } = read;
    const known = lookup?.compare(read, createdAt);
    if (known === 'same') return { mayExist: true, sameVersion: { after } };
    if (known === 'otherVersion') return { mayExist: true, sameVersion: undefined };
    if (known === 'newVersion' || lookup?.isUnrecorded()) return { mayExist: false, sameVersion: undefined };
    const previous = await this.#lastRead(source);
    return {
      mayExist: previous !== undefined,
      failure: previous?.outcome === 'failed' ? previous : undefined,
      sameVersion: await this.#lastReadOfVersion(source, version, previous),
    };
  }

  /** Whether this value of this version was recorded after the record with this sequence. */
  async #isRecordedAfter(
    sequence: number,
    { store, ref }: StoreRef,
    mayExist: boolean,
    { version, after: fingerprint }: KnownRead,
  ): Promise<boolean> {
    if (!mayExist && ref.version === undefined) return false;
    const filter = { store, key: ref.key, version, fingerprint };
    const earlier = await lastReadMatching(this.#deps.audit, filter, { object: objectTypeOf(ref) });
    return earlier !== undefined && earlier.sequence > sequence;
  }

  async #recordNotFound(
    source: StoreRef,
    result: Exclude<ReadResult, FoundRead>,
    tookMs: number,
  ): Promise<void> {
    const { store, ref } = source;
    const { key, version } = ref;
    const sources = version === undefined ? [] : [{ store, key, version }];
    const code = result.kind === 'absent' ? 'SOURCE_ABSENT' : result.error.code;
    const entry = { ...this.#entryOf(source, tookMs), outcome: 'failed', code, sources } as const;
    // The note is needed because a reading of an absence counts only while the definition of the store stays the same.
    const isAbsence = code === 'SOURCE_ABSENT' || code === 'SOURCE_DELETED';
    const note = isAbsence
      ? { note: definitionNote(this.#deps.stores.get(store), objectTypeOf(ref)) }
      : undefined;
    await this.#exclusivePerSource(source, async () => {
      const previous = await this.#lastRead(source);
      const failed = previous?.outcome === 'failed' ? previous : undefined;
      const span = this.#deduplication.failures.add(source, failed, this.#deps.clock.now());
      const isNew = failed?.code !== code || (note !== undefined && failed.note !== note.note);
      // A failure is recorded when it begins or changes. A reading of an absence is also recorded if it adds to the
      // proof of the absence.
      if (isNew || (note !== undefined && (await this.#addsToProof(source, code, note.note))))
        await this.#append(source, { ...entry, ...note, ...span });
      return undefined;
    });
  }

  async #addsToProof(source: StoreRef, code: string, note: string): Promise<boolean> {
    const rule = this.#deduplication.absenceRule(source);
    if (rule === undefined) return false;
    const { audit, clock } = this.#deps;
    return addsToProof(audit, source, { code, note, at: clock.now() }, rule);
  }

  #entryOf({ store, ref }: StoreRef, durationMs: number) {
    const { actor, requestId, stores } = this.#deps;
    const note = readNote(stores.get(store), objectTypeOf(ref));
    const base = { actor, requestId, keys: NO_KEYS, durationMs, attempt: 1 };
    return { ...base, action: 'read', store, key: ref.key, ...note } as const;
  }

  #append(source: StoreRef, entry: Entry): Promise<readonly AuditRecord[]> {
    this.#deduplication.forget(source);
    return this.#deps.audit.append([entry]);
  }

  #lastRead({ store, ref }: StoreRef): Promise<AuditRecord | undefined> {
    const object = objectTypeOf(ref);
    return lastRead(this.#deps.audit, { store, key: ref.key, object, version: ref.version });
  }

  /** Returns the record of the latest read that returned this version. If `previous` failed, searches older records. */
  async #lastReadOfVersion(
    { store, ref }: StoreRef,
    version: string,
    previous: AuditRecord | undefined,
  ): Promise<AuditRecord | undefined> {
    if (previous?.outcome !== 'failed')
      return previous?.sources[0]?.version === version ? previous : undefined;
    const filter = { store, key: ref.key, version, outcome: 'ok' } as const;
    return lastReadMatching(this.#deps.audit, filter, { object: objectTypeOf(ref) });
  }

  async #lastReadFailed(source: StoreRef): Promise<boolean> {
    const isFailed = (await this.#lastRead(source))?.outcome === 'failed';
    // If another read has ended meanwhile, keep its result, which is newer.
    if (this.#deduplication.isFailing(source) === undefined) this.#deduplication.setFailing(source, isFailed);
    return isFailed;
  }

  /**
   * Runs the work, and holds the lock of the source until the record is durable. If the lock were released earlier, the
   * next reader would not find the record in the audit.
   */
  async #exclusivePerSource(
    source: StoreRef,
    work: () => Promise<PendingRecord | undefined>,
  ): Promise<PendingRecord | undefined> {
    const end = await this.#deduplication.lock(source);
    let recording: PendingRecord | undefined;
    try {
      recording = await work();
    } finally {
      void Promise.allSettled([recording?.durable]).then(end);
    }
    return recording;
  }
}

interface FoundDetails {
  readonly read: KnownRead;
  readonly lookup: ReadLookup | undefined;
  readonly tookMs: number;
}

interface PreviousReadQuery extends Pick<FoundDetails, 'read' | 'lookup'> {
  /** When the store made the version, if it says so. */
  readonly createdAt: number | undefined;
}

/** The latest recorded read of a source. */
interface PreviousRead {
  /** Whether the audit may contain a record of this read. */
  readonly mayExist: boolean;
  /** The read, if it failed. */
  readonly failure?: AuditRecord | undefined;
  /** The latest recorded read that returned the same version. */
  readonly sameVersion: Pick<AuditRecord, 'before' | 'after'> | undefined;
}
