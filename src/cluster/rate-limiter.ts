import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { createRateLimiter } from '../core/rate-limiter.ts';
import { MAX_TIMER_MS } from '../core/timer.ts';

/** Resolves when the next request may start. Rejects with the signal's abort reason. */
export type RateLimiter = (signal?: AbortSignal) => Promise<void>;

export interface RateLimiterDeps {
  readonly clock: Clock;
  readonly wait?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** Spaces requests evenly. After a pause, it allows a burst of one second's worth. Without a rate there is no limit. */
export function createRequestRateLimiter(
  perSecond: number | undefined,
  { clock, wait = sleepMs }: RateLimiterDeps,
): RateLimiter {
  if (perSecond === undefined) return () => Promise.resolve();
  const nextDelayMs = createRateLimiter({ perSecond: () => perSecond, burst: (rate) => rate, clock });
  return async (signal) => {
    signal?.throwIfAborted();
    const ms = nextDelayMs();
    if (ms > 0) await wait(ms, signal);
  };
}

export async function sleepMs(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(Math.min(ms, MAX_TIMER_MS), undefined, signal ? { signal } : {});
}
