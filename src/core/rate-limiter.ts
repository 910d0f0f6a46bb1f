import type { Clock } from './clock.ts';
import { sleepMs } from './timer.ts';

/** Reserves the next permitted call. Returns the number of milliseconds to wait before making the call. */
type RateLimiter = () => number;

interface RateLimiterOptions {
  /** Called for each reservation, so that the rate can change. */
  readonly perSecond: () => number;
  /** Returns how many calls may start together after an idle period, at the given rate. At least 1. */
  readonly burst: (perSecond: number) => number;
  readonly clock: Clock;
}

/** Creates a token bucket that stores only the time at which the bucket will be full (generic cell rate algorithm). */
export function createRateLimiter({ perSecond, burst, clock }: RateLimiterOptions): RateLimiter {
  let fullAt = Number.NEGATIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    const now = clock.now();
    // If the clock is set back by an hour, calls must not be blocked for an hour.
    if (now < last) fullAt -= last - now;
    last = now;
    const rate = perSecond();
    const interval = 1000 / rate;
    fullAt = Math.max(fullAt, now) + interval;
    return Math.max(0, Math.ceil(fullAt - Math.max(1, burst(rate)) * interval - now));
  };
}

/** Resolves when the next request may start. Rejects with the signal's abort reason. */
export type WaitForRate = (signal?: AbortSignal) => Promise<void>;

export interface RequestRateDeps {
  readonly clock: Clock;
  readonly wait?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * Spaces requests evenly. After a pause, as many requests as the rate allows in one second may start together. Without
 * a rate there is no limit.
 */
export function createRequestRateLimiter(
  perSecond: number | undefined,
  { clock, wait = sleepMs }: RequestRateDeps,
): WaitForRate {
  if (perSecond === undefined) return () => Promise.resolve();
  const nextDelayMs = createRateLimiter({ perSecond: () => perSecond, burst: (rate) => rate, clock });
  return async (signal) => {
    signal?.throwIfAborted();
    const ms = nextDelayMs();
    if (ms > 0) await wait(ms, signal);
  };
}
