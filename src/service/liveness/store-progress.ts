import type { SyncContext } from '../../reconcile/context.ts';
import type { Loop } from './loops.ts';

/**
 * Counts answers from stores as progress of the jobs that wait for them. Without this, a job could look stalled,
 * because a store may need longer than the deadline for all keys of a target. An answer counts for every waiting job,
 * because reads are shared and another job may have started the read.
 */
export interface StoreProgress {
  /** Records that a request to the store has ended, successfully or not. */
  note(store: string): void;
  /**
   * Counts answers from these stores as progress of the loop until the returned function is called. The call of this
   * function counts as progress too.
   */
  trackWait(loop: Loop, stores: readonly string[]): () => void;
}

/** Minimum time between two updates, because there may be thousands of requests a second and deadlines are minutes. */
const MIN_INTERVAL_MS = 1_000;

/** @param now A monotonic clock in milliseconds. */
export function createStoreProgress(now: () => number): StoreProgress {
  const waiting = new Map<string, Set<{ readonly loop: Loop }>>();
  const notedAt = new Map<string, number>();
  return {
    note(store) {
      if (now() - (notedAt.get(store) ?? Number.NEGATIVE_INFINITY) < MIN_INTERVAL_MS) return;
      notedAt.set(store, now());
      for (const { loop } of waiting.get(store) ?? []) loop.beat();
    },
    trackWait(loop, stores) {
      const entry = { loop };
      for (const store of stores) waiting.set(store, (waiting.get(store) ?? new Set()).add(entry));
      return () => {
        for (const store of stores) waiting.get(store)?.delete(entry);
        loop.beat();
      };
    },
  };
}

/** Wraps a context: while a call waits for answers from stores, each answer counts as progress. */
export function withStoreProgress(context: SyncContext, begin: () => () => void): SyncContext {
  const whileWaiting = async <T>(ask: () => Promise<T>): Promise<T> => {
    const end = begin();
    try {
      return await ask();
    } finally {
      end();
    }
  };
  return {
    ...context,
    read: (refs) => whileWaiting(() => context.read(refs)),
    find: (store, query) => whileWaiting(() => context.find(store, query)),
    versions: (store, keys) => whileWaiting(() => context.versions(store, keys)),
  };
}
