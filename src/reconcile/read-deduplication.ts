import { objectTypeOf, refId, type StoreRef } from '../core/read-result.ts';
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
   * Returns the latest recorded read, if it is known. Then the audit need not be queried. A failed read, and a read that
   * found a replaced value, are never returned.
   */
  last(): KnownRead | undefined;
  /** Remembers the latest recorded read. Call this method after the audit has confirmed it, and within the lock. */
  remember(read: KnownRead): void;
}

/** A version of a source, and the fingerprint of its value. */
export interface KnownRead {
  readonly version: string;
  readonly after: string;
}

/**
 * @param readAuditVersion Returns a number that stays the same while only this process appends to the audit. Returns
 * undefined if the number cannot be determined.
 * @param absenceRule By default, every reading of an absence adds to its proof.
 */
export function createReadDeduplication(
  readAuditVersion: () => Promise<number | undefined>,
  absenceRule: ReadDeduplication['absenceRule'] = () => EVERY_READING,
): ReadDeduplication {
  /** One text for each source, because texts need less memory than objects. */
  const lastReads = new Map<string, string>();
  const failing = new Map<string, boolean>();
  const locks = new Map<string, Promise<void>>();
  let cachedVersion: number | undefined;
  let clears = 0;
  return {
    async lookUp(source) {
      const key = keyOf(source);
      const clearsBefore = clears;
      const auditVersion = await readAuditVersion();
      if (auditVersion !== undefined && auditVersion !== cachedVersion) {
        lastReads.clear();
        cachedVersion = auditVersion;
      }
      // If another process has appended since, its record may be newer.
      const isCurrent = () =>
        auditVersion !== undefined && auditVersion === cachedVersion && clears === clearsBefore;
      return {
        last: () => (isCurrent() ? parseRead(lastReads.get(key)) : undefined),
        remember(read) {
          if (isCurrent()) lastReads.set(key, formatRead(read));
        },
      };
    },
    forget: (source) => void lastReads.delete(keyOf(source)),
    async lock(source) {
      const key = keyOf(source);
      const previous = locks.get(key);
      const { promise, resolve } = Promise.withResolvers<void>();
      locks.set(key, promise);
      await previous;
      return () => {
        if (locks.get(key) === promise) locks.delete(key);
        resolve();
      };
    },
    setFailing: (source, isFailed) => void failing.set(refId(source), isFailed),
    isFailing: (source) => failing.get(refId(source)),
    failures: new FailureCounts(),
    buffer: createReadBuffer(),
    absenceRule,
    clear() {
      clears += 1;
      lastReads.clear();
      failing.clear();
    },
  };
}

function formatRead({ version, after }: KnownRead): string {
  return `${after} ${version}`;
}

/** A fingerprint contains no space. A version may contain any character. */
function parseRead(text: string | undefined): KnownRead | undefined {
  const end = text?.indexOf(' ') ?? -1;
  return text === undefined || end < 0
    ? undefined
    : { after: text.slice(0, end), version: text.slice(end + 1) };
}

/**
 * The object type is part of the key, because objects of several types can share a name. The version is not part of it,
 * because a record of a named version also describes the current version.
 */
function keyOf({ store, ref }: StoreRef): string {
  return JSON.stringify([store, ref.key, objectTypeOf(ref)]);
}

const EVERY_READING: AbsenceRule = {
  readings: Number.POSITIVE_INFINITY,
  overMs: Number.POSITIVE_INFINITY,
  deletionLagMs: 0,
};

/** Records every read, for callers that read each source only once. */
export const noReadDeduplication = (): ReadDeduplication => ({
  lookUp: async () => ({ last: () => undefined, remember: () => undefined }),
  forget: () => undefined,
  lock: async () => () => undefined,
  setFailing: () => undefined,
  isFailing: () => false,
  failures: new FailureCounts(),
  buffer: noReadBuffer(),
  absenceRule: () => EVERY_READING,
  clear: () => undefined,
});
