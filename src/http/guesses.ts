import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';

const REFUSALS = 30;
const WINDOW_MS = 60_000;
const MAX_ADDRESSES = 10_000;

/** How often an address was refused of late. */
export interface Guesses {
  /** @throws AppError RATE_LIMITED once it was too often. */
  check(address: string): void;
  note(address: string): void;
}

export function createGuesses(clock: Clock): Guesses {
  const refused = new Map<string, { count: number; readonly until: number }>();
  return {
    check(address) {
      const found = refused.get(address);
      if (found === undefined) return;
      const left = found.until - clock.now();
      // More than there ever is: the clock was set back since.
      if (left <= 0 || left > WINDOW_MS) refused.delete(address);
      else if (found.count >= REFUSALS) throw new AppError('RATE_LIMITED', { retryAfterMs: left });
    },
    note(address) {
      const found = refused.get(address);
      if (found !== undefined) found.count += 1;
      else bounded(refused, MAX_ADDRESSES).set(address, { count: 1, until: clock.now() + WINDOW_MS });
    },
  };
}

/** With room for one more: the oldest goes. */
export function bounded<C extends Map<string, unknown> | Set<string>>(collection: C, max: number): C {
  const [oldest] = collection.keys();
  if (collection.size >= max && oldest !== undefined) collection.delete(oldest);
  return collection;
}
