import { objectTypeOf, refId, type StoreRef } from '../core/read-result.ts';
import { type AbsenceRule, FailureCounts } from './failed-reads.ts';

/**
 * Remembers the latest recorded read of each source while no other process writes to the audit. Otherwise each cycle
 * would query the audit for each source. Such a query takes longer than a read from a nearby store.
 */
export interface ReadDeduplication {
  /** Call this method before querying the audit for a source. */
  lookUp(source: StoreRef): Promise<ReadLookup>;
  /** Call this method both before and after a new record of a read is appended, even if the append may have failed. */
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
  /** Returns how an absence of a source is proved. Undefined if an absence cannot remove anything. */
  absenceRule(source: StoreRef): AbsenceRule | undefined;
  /** Call this method when the set of sources changes. */
  clear(): void;
}

export interface ReadLookup {
  /** Whether this read is certainly the latest recorded one. If so, the audit need not be queried. */
  isLast(reading: string): boolean;
  /**
   * Remembers that this read is the latest recorded one. Call this method after a query of the audit has confirmed it.
   */
  remember(reading: string): void;
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
  const lastReads = new Map<string, string>();
  const failing = new Map<string, boolean>();
  const locks = new Map<string, Promise<void>>();
  let cachedVersion: number | undefined;
  let invalidations = 0;
  return {
    async lookUp(source) {
      const key = keyOf(source);
      const invalidationsBefore = invalidations;
      const auditVersion = await readAuditVersion();
      if (auditVersion !== undefined && auditVersion !== cachedVersion) {
        lastReads.clear();
        cachedVersion = auditVersion;
      }
      const isCurrent = () => auditVersion !== undefined && auditVersion === cachedVersion;
      return {
        isLast: (reading) => isCurrent() && lastReads.get(key) === reading,
        remember(reading) {
          // Another task may have appended a record after the query. Then the answer of the audit is outdated.
          if (isCurrent() && invalidations === invalidationsBefore) lastReads.set(key, reading);
        },
      };
    },
    forget(source) {
      invalidations += 1;
      lastReads.delete(keyOf(source));
    },
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
    absenceRule,
    clear() {
      invalidations += 1;
      lastReads.clear();
      failing.clear();
    },
  };
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
  lookUp: async () => ({ isLast: () => false, remember: () => undefined }),
  forget: () => undefined,
  lock: async () => () => undefined,
  setFailing: () => undefined,
  isFailing: () => false,
  failures: new FailureCounts(),
  absenceRule: () => EVERY_READING,
  clear: () => undefined,
});
