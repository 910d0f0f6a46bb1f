import type { Clock } from './clock.ts';

/** Reserves the next permitted call, and returns how many milliseconds to wait before it. */
export type RateLimiter = () => number;

export interface RateLimiterOptions {
  /** Called for each reservation, so that the rate can change. */
  readonly perSecond: () => number;
  /** How many calls may start at once after an idle period, at the given rate. At least 1. */
  readonly burst: (perSecond: number) => number;
  readonly clock: Clock;
}

/** A token bucket that stores only the time at which the bucket would be full (generic cell rate algorithm). */
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
