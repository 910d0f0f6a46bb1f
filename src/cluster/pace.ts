import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { createRate } from '../core/rate.ts';
import { LONGEST_WAKE_MS } from '../core/wake.ts';

/** Resolves when the next request may start; rejects with the signal's reason. */
export type Pace = (signal?: AbortSignal) => Promise<void>;

export interface PaceDeps {
  readonly clock: Clock;
  readonly wait?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** Spaces requests evenly, with a burst of one second's worth after a pause. Without a rate nothing waits. */
export function createPace(perSecond: number | undefined, { clock, wait = waitReally }: PaceDeps): Pace {
  if (perSecond === undefined) return () => Promise.resolve();
  const nextTurn = createRate({ perSecond: () => perSecond, burst: (rate) => rate, clock });
  return async (signal) => {
    signal?.throwIfAborted();
    const ms = nextTurn();
    if (ms > 0) await wait(ms, signal);
  };
}

export async function waitReally(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(Math.min(ms, LONGEST_WAKE_MS), undefined, signal ? { signal } : {});
}
