import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import type { AuditRecord, Entry } from './entry.ts';

/** Writes all entries and returns one record for each entry, in order. */
export type Write = (entries: readonly Entry[]) => Promise<readonly AuditRecord[]>;

export interface GroupCommit {
  append(entries: readonly Entry[]): Promise<readonly AuditRecord[]>;
  /** Resolves when all pending entries have been written or have failed. */
  settled(): Promise<void>;
}

interface PendingAppend {
  readonly entries: readonly Entry[];
  readonly resolve: (records: readonly AuditRecord[]) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * The maximum number of extra event loop turns for which a batch stays open. A turn takes microseconds when there is
 * little to do.
 */
const MAX_EXTRA_TICKS = 4;

/**
 * Collects concurrent appends into one transaction, so that they share one disk sync. A batch contains the entries that
 * arrive in one turn of the event loop or during the previous write. The batch stays open for a few more turns while
 * new entries keep arriving. A batch succeeds or fails as a whole.
 */
export function createGroupCommit(write: Write): GroupCommit {
  let pending: PendingAppend[] = [];
  let draining: Promise<void> | undefined;

  async function drain(): Promise<void> {
    await waitForMore();
    while (pending.length > 0) {
      const batch = pending;
      pending = [];
      await writeAll(batch);
    }
    draining = undefined;
  }

  async function waitForMore(): Promise<void> {
    let previousCount = 0;
    for (let tick = 0; tick < MAX_EXTRA_TICKS && pending.length > previousCount; tick += 1) {
      previousCount = pending.length;
      await yieldToEventLoop();
    }
  }

  async function writeAll(batch: readonly PendingAppend[]): Promise<void> {
    try {
      const records = await write(batch.flatMap(({ entries }) => entries));
      let start = 0;
      for (const { entries, resolve } of batch) {
        resolve(records.slice(start, start + entries.length));
        start += entries.length;
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  return {
    append: (entries) =>
      new Promise((resolve, reject) => {
        pending.push({ entries, resolve, reject });
        draining ??= drain();
      }),
    settled: async () => {
      await draining;
    },
  };
}
