import { objectTypeOf, refId, type StoreRef } from '../core/read-result.ts';

/**
 * Remembers the latest recorded read of each source while no other process writes to the audit. Asking the audit about
 * each source in each cycle would take longer than reading from a nearby store.
 */
export interface ReadDeduplication {
  /** Call before asking the audit about a source. */
  lookUp(source: StoreRef): Promise<ReadLookup>;
  /** Call before and after appending a record of another read, even if the append may have failed. */
  forget(source: StoreRef): void;
  /**
   * Waits until no other task of this process records a read of the source. Returns a function that releases the lock.
   * Two concurrent tasks would each record a read that neither has found in the audit.
   */
  lock(source: StoreRef): Promise<() => void>;
  /** Sets whether the latest read of a reference by this process failed. An absence is not a failure. */
  setFailing(source: StoreRef, isFailed: boolean): void;
  /**
   * Whether the latest read failed; only another read shows the end of a failure. Undefined if this process has not
   * read it.
   */
  isFailing(source: StoreRef): boolean | undefined;
  /** Call when the set of sources changes. */
  clear(): void;
}

export interface ReadLookup {
  /** Whether this is certainly the latest recorded read, so that the audit need not be asked. */
  isLast(reading: string): boolean;
  /** Remembers this read as the latest, as the audit has confirmed. */
  remember(reading: string): void;
}

/**
 * @param readAuditVersion While the version stays the same, only this process has appended to the audit. Undefined if
 * that cannot be determined now.
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
          // The audit's answer may not include records that were appended in the meantime.
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

/** Several objects can share a name. A record of a named version also describes the current one. */
function keyOf({ store, ref }: StoreRef): string {
  return JSON.stringify([store, ref.key, objectTypeOf(ref)]);
}

/** For callers that read each source once. */
export const noReadDeduplication: ReadDeduplication = {
  lookUp: async () => ({ isLast: () => false, remember: () => undefined }),
  forget: () => undefined,
  lock: async () => () => undefined,
  setFailing: () => undefined,
  isFailing: () => false,
  clear: () => undefined,
};
