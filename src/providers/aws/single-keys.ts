import type { Clock } from '../../core/clock.ts';

/** Batches are tried again after this time, because the permission for them may have been granted. */
export const RECHECK_MS = 3_600_000;
/** The maximum number of remembered keys that need a request of their own. */
const MAX_SINGLE_KEYS = 10_000;

/** Remembers for an hour which keys need a request of their own. */
export interface SingleKeys {
  has(key: string): boolean;
  add(key: string): void;
  delete(key: string): void;
}

export function createSingleKeys(clock: Clock): SingleKeys {
  // The time when each key was added. The oldest keys come first.
  const addedAt = new Map<string, number>();
  const isPast = (at: number): boolean => Math.abs(clock.now() - at) >= RECHECK_MS;
  return {
    has: (key) => !isPast(addedAt.get(key) ?? Number.NEGATIVE_INFINITY),
    add(key) {
      addedAt.delete(key);
      addedAt.set(key, clock.now());
      for (const [oldest, at] of addedAt) {
        if (addedAt.size <= MAX_SINGLE_KEYS && !isPast(at)) break;
        addedAt.delete(oldest);
      }
    },
    delete: (key) => void addedAt.delete(key),
  };
}
