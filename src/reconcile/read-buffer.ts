import type { Entry } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import { type StartTimer, startTimer } from '../core/timer.ts';

/**
 * Holds back the records of reads. A read changes nothing, so its record need not be durable before somebody acts on
 * it. Then the records of several reads, and the intent of the write that uses them, share one transaction.
 */
export interface ReadBuffer {
  /** Adds a record. Resolves when the record is durable. */
  add(audit: Pick<AuditStore, 'append'>, entry: Entry): Promise<void>;
  /** Appends all records. Records that are appended later follow them in the log. */
  flush(): void;
}

interface PendingEntry {
  readonly entry: Entry;
  readonly durable: PromiseWithResolvers<void>;
}

/** The longest time for which a record is held back. */
const MAX_WAIT_MS = 20;

export function createReadBuffer(wake: StartTimer = startTimer): ReadBuffer {
  let pending: PendingEntry[] = [];
  let target: Pick<AuditStore, 'append'> | undefined;
  let cancelTimer: (() => void) | undefined;

  async function append(audit: Pick<AuditStore, 'append'>, batch: readonly PendingEntry[]): Promise<void> {
    try {
      await audit.append(batch.map(({ entry }) => entry));
      for (const { durable } of batch) durable.resolve();
    } catch (error) {
      for (const { durable } of batch) durable.reject(error);
    }
  }

  function flush(): void {
    cancelTimer?.();
    cancelTimer = undefined;
    const batch = pending;
    pending = [];
    if (target !== undefined && batch.length > 0) void append(target, batch);
  }

  return {
    add(audit, entry) {
      if (target !== audit) flush();
      target = audit;
      const durable = Promise.withResolvers<void>();
      pending.push({ entry, durable });
      cancelTimer ??= wake(flush, MAX_WAIT_MS);
      return durable.promise;
    },
    flush,
  };
}

/** Returns a buffer that appends each record at once. */
export const noReadBuffer = (): ReadBuffer => ({
  add: async (audit, entry) => void (await audit.append([entry])),
  flush: () => undefined,
});
