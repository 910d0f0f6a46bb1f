import type { SyncContext } from '../runs/sync-context.ts';
import type { SyncContexts } from '../runs/sync-contexts.ts';
import type { Loop } from './loops.ts';

/**
 * What stores answer, as progress of those who wait for it: a target may have more keys than its store gives within the
 * deadline of a loop, and what is read may be shared, so that it is asked for in the name of another.
 */
export interface StoreProgress {
  /** A request to this store has ended, well or not. */
  note(store: string): void;
  /** From now on until it is called off, which is progress too. */
  trackWait(loop: Loop, stores: readonly string[]): () => void;
}

/** Deadlines are minutes, and there may be thousands of requests a second. */
const MIN_INTERVAL_MS = 1_000;

/** @param now Milliseconds that never go back. */
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

/** The same context for one who waits: between its questions to stores, what they answer is no progress of its own. */
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

/** @param waitStarter How a job begins to wait for its stores, if it does. */
export function contextsWithStoreProgress(
  contexts: SyncContexts<SyncContext>,
  waitStarter: (job: object) => (() => () => void) | undefined,
): SyncContexts<SyncContext> {
  return {
    ...contexts,
    async get(job, notBefore, requested) {
      const context = await contexts.get(job, notBefore, requested);
      const begin = waitStarter(job);
      return begin === undefined ? context : withStoreProgress(context, begin);
    },
  };
}
