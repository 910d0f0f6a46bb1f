import { objectTypeOf, refId, type StoreRef } from '../core/read-result.ts';

/**
 * Remembers the latest recorded read of each source while no other process writes to the audit. Without it, each cycle
 * would query the audit for each source, which takes longer than reading from a nearby store.
 */
export interface ReadDeduplication {
  /** Call before querying the audit for a source. */
  lookUp(source: StoreRef): Promise<ReadLookup>;
  /** Call before and after appending a new read record, even if the append may have failed. */
  forget(source: StoreRef): void;
  /**
   * Waits until no other task of this process is recording a read of the source. Returns a function that releases the
   * lock. Without the lock, two concurrent tasks would both record a read that the audit does not contain yet.
   */
  lock(source: StoreRef): Promise<() => void>;
  /** Stores whether the latest read of a reference by this process failed. An absence is not a failure. */
  setFailing(source: StoreRef, isFailed: boolean): void;
  /**
   * Whether the latest read by this process failed, or undefined if there was none. Only another read can end the
   * failure.
   */
  isFailing(source: StoreRef): boolean | undefined;
  /** Call when the set of sources changes. */
  clear(): void;
}

export interface ReadLookup {
  /** Whether this is certainly the latest recorded read. If so, the audit need not be queried. */
  isLast(reading: string): boolean;
  /** Remembers this read as the latest, after the audit has confirmed it. */
  remember(reading: string): void;
}

/**
 * @param readAuditVersion While the returned version stays the same, only this process has appended to the audit.
 * Returns undefined if the version cannot be determined.
 */
export function createReadDeduplication(
  readAuditVersion: () => Promise<number | undefined>,
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
          // The audit's answer may lack records that were appended after the query.
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
    clear() {
      invalidations += 1;
      lastReads.clear();
      failing.clear();
    },
  };
}

/**
 * The object type is part of the key, because objects of several types can share a name. The version is not, because a
 * record of a named version also describes the current one.
 */
function keyOf({ store, ref }: StoreRef): string {
  return JSON.stringify([store, ref.key, objectTypeOf(ref)]);
}

/** For callers that read each source only once and need no deduplication. */
export const noReadDeduplication: ReadDeduplication = {
  lookUp: async () => ({ isLast: () => false, remember: () => undefined }),
  forget: () => undefined,
  lock: async () => () => undefined,
  setFailing: () => undefined,
  isFailing: () => false,
  clear: () => undefined,
};
