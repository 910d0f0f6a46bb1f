import { isFingerprint } from '../core/fingerprint.ts';
import { isCurrentSecretRef, objectTypeOf, refId, type StoreRef } from '../core/read-result.ts';
import { type AbsenceRule, FailureCounts } from './failed-reads.ts';
import { createReadBuffer, noReadBuffer, type ReadBuffer } from './read-buffer.ts';

/**
 * Remembers the latest recorded read of each source while no other process writes to the audit. Otherwise each cycle
 * would query the audit for each source. Such a query takes longer than a read from a nearby store.
 */
export interface ReadDeduplication {
  /** Call this method before querying the audit for a source. */
  lookUp(source: StoreRef): Promise<ReadLookup>;
  /** Forgets the latest read of a source. Call this method before a new record of a read is appended. */
  forget(source: StoreRef): void;
  /**
   * Waits until no other task of this process is recording a read of the source. Returns a function that releases this
   * lock. Without the lock, two concurrent tasks could both record a read that is not in the audit yet.
   */
  lock(source: StoreRef): Promise<() => void>;
  /**
   * Stores whether the latest read of a reference by this process failed. If the read found the source absent, it did
   * not fail.
   */
  setFailing(source: StoreRef, isFailed: boolean): void;
  /**
   * Whether the latest read by this process failed. Undefined if there was none. A failure ends only with another read.
   */
  isFailing(source: StoreRef): boolean | undefined;
  /** The failed reads of each source since its failure began. */
  readonly failures: FailureCounts;
  /** Holds back the records of successful reads. */
  readonly buffer: ReadBuffer;
  /** Returns how an absence of a source is proved. Undefined if an absence cannot remove anything. */
  absenceRule(source: StoreRef): AbsenceRule | undefined;
  /** Call this method when the set of sources changes. */
  clear(): void;
}

export interface ReadLookup {
  /**
   * Compares a read with the latest recorded one, if that is known. Then the audit need not be queried. A failed read,
   * and a read that found a replaced value, are never known.
   */
  compare(read: KnownRead, createdAt?: number): ReadComparison | undefined;
  /** Whether the audit certainly contains no read of the source. Then the audit need not be queried either. */
  isUnrecorded(): boolean;
  /** Remembers the latest recorded read. Call this method after the audit has confirmed it, and within the lock. */
  remember(read: LastRead): void;
}

/**
 * `newVersion`: the store made the version after the last record of the source, so no record can contain it. This saves
 * queries in a rotation, because the records of a key become many.
 */
export type ReadComparison = 'same' | 'newVersion' | 'otherVersion' | 'otherValue';

/** A version of a source, and the fingerprint of its value. */
export interface KnownRead {
  readonly version: string;
  readonly after: string;
}

/** The latest recorded read of a source. */
export interface LastRead extends KnownRead {
  /** No record of the source is newer than this time, in milliseconds since 1970. */
  readonly at: number;
}

/**
 * @param readAuditVersion Returns a number that stays the same while only this process appends to the audit. Returns
 * undefined if the number cannot be determined.
 * @param absenceRule By default, every reading of an absence adds to its proof.
 * @param isOwnAudit Whether this process has written all records of the audit, as in a first installation.
 */
export function createReadDeduplication(
  readAuditVersion: () => Promise<number | undefined>,
  absenceRule: ReadDeduplication['absenceRule'] = () => EVERY_READING,
  isOwnAudit: () => boolean = () => false,
): ReadDeduplication {
  /**
   * One text for each source, because texts need less memory than objects. The text is empty if the source has records,
   * and the audit must be queried for the latest one.
   */
  const lastReads = new Map<string, string>();
  /** Whether `lastReads` has an entry for each source with records. Undefined before the first lookup. */
  let isComplete: boolean | undefined;
  const failing = new Map<string, boolean>();
  const lock = createLocks();
  let cachedVersion: number | undefined;
  let clears = 0;
  return {
    async lookUp(source) {
      const key = keyOf(source);
      const clearsBefore = clears;
      const auditVersion = await readAuditVersion();
      if (auditVersion !== undefined && auditVersion !== cachedVersion) {
        isComplete = isComplete === undefined && isOwnAudit();
        if (!isComplete) lastReads.clear();
        cachedVersion = auditVersion;
      }
      // If another process has appended since, its record may be newer.
      const isCurrent = () =>
        auditVersion !== undefined && auditVersion === cachedVersion && clears === clearsBefore;
      return {
        compare: (read, createdAt) =>
          isCurrent() ? compareWith(lastReads.get(key), read, createdAt) : undefined,
        isUnrecorded: () => isCurrent() && isComplete === true && !lastReads.has(key),
        remember(read) {
          if (isCurrent()) lastReads.set(key, formatRead(read));
        },
      };
    },
    forget(source) {
      if (isComplete === false) lastReads.delete(keyOf(source));
      else lastReads.set(keyOf(source), '');
    },
    lock: (source) => lock(keyOf(source)),
    setFailing: (source, isFailed) => void failing.set(refId(source), isFailed),
    isFailing: (source) => failing.get(refId(source)),
    failures: new FailureCounts(),
    buffer: createReadBuffer(),
    absenceRule,
    clear() {
      clears += 1;
      isComplete = false;
      lastReads.clear();
      failing.clear();
    },
  };
}

/** Returns a function that waits for the lock of a key, and returns a function that releases it. */
function createLocks(): (key: string) => Promise<() => void> {
  const locks = new Map<string, Promise<void>>();
  return async (key) => {
    const previous = locks.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    locks.set(key, promise);
    await previous;
    return () => {
      if (locks.get(key) === promise) locks.delete(key);
      resolve();
    };
  };
}

/** The number of hex digits of a fingerprint that are kept. They are compared only with those of the same source. */
const KEPT_DIGITS = 16;

/** The time is rounded up to a second. A fingerprint contains no space. A version may contain any character. */
function formatRead({ version, after, at }: LastRead): string {
  // Other than a template, `join` makes one text without parts, which takes less memory.
  return [Math.ceil(at / 1_000), after.slice(-KEPT_DIGITS), version].join(' ');
}

function compareWith(
  known: string | undefined,
  { version, after }: KnownRead,
  createdAt?: number,
): ReadComparison | undefined {
  if (known === undefined || known === '') return undefined;
  const [first, second] = [known.indexOf(' '), known.indexOf(' ', known.indexOf(' ') + 1)];
  if (known.slice(second + 1) === version)
    return known.slice(first + 1, second) === after.slice(-KEPT_DIGITS) ? 'same' : 'otherValue';
  const isNew = createdAt !== undefined && createdAt > Number(known.slice(0, first)) * 1_000;
  // A version that is a fingerprint says nothing: its value may have been there before.
  return isNew && !isFingerprint(version) ? 'newVersion' : 'otherVersion';
}

/**
 * The object type is part of the key, because objects of several types can share a name. The version is not part of it,
 * because a record of a named version also describes the current version.
 */
function keyOf(source: StoreRef): string {
  const { store, ref } = source;
  if (isCurrentSecretRef(ref)) return refId(source);
  const object = objectTypeOf(ref);
  return object === 'secret'
    ? refId({ store, ref: { key: ref.key } })
    : JSON.stringify([store, ref.key, object]);
}

const EVERY_READING: AbsenceRule = {
  readings: Number.POSITIVE_INFINITY,
  overMs: Number.POSITIVE_INFINITY,
  deletionLagMs: 0,
};

/** Records every read, for callers that read each source only once. */
export const noReadDeduplication = (): ReadDeduplication => ({
  lookUp: async () => ({ compare: () => undefined, isUnrecorded: () => false, remember: () => undefined }),
  forget: () => undefined,
  lock: async () => () => undefined,
  setFailing: () => undefined,
  isFailing: () => false,
  failures: new FailureCounts(),
  buffer: noReadBuffer(),
  absenceRule: () => EVERY_READING,
  clear: () => undefined,
});
