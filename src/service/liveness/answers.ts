import type { Pass } from '../runs/pass.ts';
import type { Passes } from '../runs/passes.ts';
import type { Loop } from './loops.ts';

/**
 * What stores answer, as progress of those who wait for it: a target may have more keys than its store gives within
 * the deadline of a loop, and what is read may be shared, so that it is asked for in the name of another.
 */
export interface Answers {
  /** A request to this store has ended, well or not. */
  tell(store: string): void;
  /** From now on until it is called off, which is progress too. */
  awaitedBy(loop: Loop, stores: readonly string[]): () => void;
}

/** Deadlines are minutes, and there may be thousands of requests a second. */
const OFTEN_ENOUGH_MS = 1_000;

/** @param now Milliseconds that never go back. */
export function createAnswers(now: () => number): Answers {
  const waiting = new Map<string, Set<{ readonly loop: Loop }>>();
  const toldAt = new Map<string, number>();
  return {
    tell(store) {
      if (now() - (toldAt.get(store) ?? Number.NEGATIVE_INFINITY) < OFTEN_ENOUGH_MS) return;
      toldAt.set(store, now());
      for (const { loop } of waiting.get(store) ?? []) loop.beat();
    },
    awaitedBy(loop, stores) {
      const entry = { loop };
      for (const store of stores) waiting.set(store, (waiting.get(store) ?? new Set()).add(entry));
      return () => {
        for (const store of stores) waiting.get(store)?.delete(entry);
        loop.beat();
      };
    },
  };
}

/** The same pass for one who waits: between its questions to stores, what they answer is no progress of its own. */
export function withAnswers(pass: Pass, begin: () => () => void): Pass {
  const during = async <T>(ask: () => Promise<T>): Promise<T> => {
    const end = begin();
    try {
      return await ask();
    } finally {
      end();
    }
  };
  return {
    ...pass,
    read: (refs) => during(() => pass.read(refs)),
    find: (store, query) => during(() => pass.find(store, query)),
    versions: (store, keys) => during(() => pass.versions(store, keys)),
  };
}

/** @param beginsOf How a job begins to wait for its stores, if it does. */
export function passesWithAnswers(
  passes: Passes<Pass>,
  beginsOf: (job: object) => (() => () => void) | undefined,
): Passes<Pass> {
  return {
    ...passes,
    async of(job, notBefore, asked) {
      const pass = await passes.of(job, notBefore, asked);
      const begin = beginsOf(job);
      return begin === undefined ? pass : withAnswers(pass, begin);
    },
  };
}
