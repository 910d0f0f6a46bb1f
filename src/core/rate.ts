import type { Clock } from './clock.ts';

/** Takes the next turn; gives how many milliseconds from now it is. */
export type Rate = () => number;

export interface RateOptions {
  /** Asked at each turn, so that it may change. */
  readonly perSecond: () => number;
  /** How many turns may be taken at once after a pause, given the rate; at least 1. */
  readonly burst: (perSecond: number) => number;
  readonly clock: Clock;
}

/** A token bucket, kept as the time at which it would be full (the generic cell rate algorithm). */
export function createRate({ perSecond, burst, clock }: RateOptions): Rate {
  let fullAt = Number.NEGATIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    const now = clock.now();
    // A clock set back by an hour must not stop all turns for an hour.
    if (now < last) fullAt -= last - now;
    last = now;
    const rate = perSecond();
    const interval = 1000 / rate;
    fullAt = Math.max(fullAt, now) + interval;
    return Math.max(0, Math.ceil(fullAt - Math.max(1, burst(rate)) * interval - now));
  };
}
