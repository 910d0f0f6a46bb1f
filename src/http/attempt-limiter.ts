import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';

const MAX_FAILURES = 30;
const WINDOW_MS = 60_000;
const MAX_ADDRESSES = 10_000;

/** Counts the recent failed attempts of each address. */
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
      // More than a whole window remains only if the clock was set back.
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

/** Makes room for one more entry: drops the oldest when the collection is full. */
export function evictOldest<C extends Map<string, unknown> | Set<string>>(collection: C, max: number): C {
  const [oldest] = collection.keys();
  if (collection.size >= max && oldest !== undefined) collection.delete(oldest);
  return collection;
}
