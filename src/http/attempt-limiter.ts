import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';

const MAX_FAILURES = 30;
const WINDOW_MS = 60_000;
const MAX_ADDRESSES = 10_000;

/** Counts the failed attempts of each address within a time window. */
export interface AttemptLimiter {
  /** @throws AppError RATE_LIMITED after too many failures. */
  check(address: string): void;
  recordFailure(address: string): void;
}

export function createAttemptLimiter(clock: Clock): AttemptLimiter {
  const failuresByAddress = new Map<string, { count: number; readonly until: number }>();
  return {
    check(address) {
      const failures = failuresByAddress.get(address);
      if (failures === undefined) return;
      const remainingMs = failures.until - clock.now();
      // If more than a whole window remains, the clock was set back.
      if (remainingMs <= 0 || remainingMs > WINDOW_MS) failuresByAddress.delete(address);
      else if (failures.count >= MAX_FAILURES)
        throw new AppError('RATE_LIMITED', { retryAfterMs: remainingMs });
    },
    recordFailure(address) {
      const failures = failuresByAddress.get(address);
      if (failures !== undefined) failures.count += 1;
      else
        evictOldest(failuresByAddress, MAX_ADDRESSES).set(address, {
          count: 1,
          until: clock.now() + WINDOW_MS,
        });
    },
  };
}

/** Removes the oldest entry if the collection is full, to make room for another one. */
export function evictOldest<C extends Map<string, unknown> | Set<string>>(collection: C, max: number): C {
  const [oldest] = collection.keys();
  if (collection.size >= max && oldest !== undefined) collection.delete(oldest);
  return collection;
}
