import type { Clock } from './clock.ts';

/** Reserves the next slot and returns how many milliseconds to wait for it. */
export type RateLimiter = () => number;

export interface RateLimiterOptions {
  /** Read for each slot, so that the rate can change. */
  readonly perSecond: () => number;
  /** How many slots can be used at once after an idle period, for the given rate. At least 1. */
  readonly burst: (perSecond: number) => number;
  readonly clock: Clock;
}

/** A token bucket, stored as the time at which it would be full (the generic cell rate algorithm). */
export function createRateLimiter({ perSecond, burst, clock }: RateLimiterOptions): RateLimiter {
  let fullAt = Number.NEGATIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    const now = clock.now();
    // A clock that is set back by an hour must not block all calls for an hour.
    if (now < last) fullAt -= last - now;
    last = now;
    const rate = perSecond();
    const interval = 1000 / rate;
    fullAt = Math.max(fullAt, now) + interval;
    return Math.max(0, Math.ceil(fullAt - Math.max(1, burst(rate)) * interval - now));
  };
}
