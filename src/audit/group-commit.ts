import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AuditRecord, Entry } from './entry.ts';

/** One record for each entry, in their order. */
export type Write = (entries: readonly Entry[]) => Promise<readonly AuditRecord[]>;

export interface GroupCommit {
  append(entries: readonly Entry[]): Promise<readonly AuditRecord[]>;
  /** Resolves when everything that was given has been written or has failed. */
  settled(): Promise<void>;
}

interface Waiting {
  readonly entries: readonly Entry[];
  readonly resolve: (records: readonly AuditRecord[]) => void;
  readonly reject: (reason: unknown) => void;
}

/** Each takes microseconds when there is little to do. */
const MOST_TURNS = 4;

/**
 * Whatever arrives in one turn of the event loop, in the few after it while each brings more, or while a batch is
 * being written, shares a transaction and so one wait for the disk. A batch fails as a whole.
 */
export function createGroupCommit(write: Write): GroupCommit {
  let waiting: Waiting[] = [];
  let draining: Promise<void> | undefined;

  async function drain(): Promise<void> {
    await whileMoreComes();
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      await writeAll(batch);
    }
    draining = undefined;
  }

  async function whileMoreComes(): Promise<void> {
    let before = 0;
    for (let turn = 0; turn < MOST_TURNS && waiting.length > before; turn += 1) {
      before = waiting.length;
      await nextTurn();
    }
  }

  async function writeAll(batch: readonly Waiting[]): Promise<void> {
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
        waiting.push({ entries, resolve, reject });
        draining ??= drain();
      }),
    settled: async () => {
      await draining;
    },
  };
}
