import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';

/** Resolves when the next request may start; rejects with the signal's reason. */
export type Pace = (signal?: AbortSignal) => Promise<void>;

export interface PaceDeps {
  readonly clock: Clock;
  readonly wait?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * Spaces requests evenly (the generic cell rate algorithm), with a burst of one second's worth after a pause.
 * Without a rate nothing waits.
 */
export function createPace(perSecond: number | undefined, { clock, wait = waitReally }: PaceDeps): Pace {
  if (perSecond === undefined) return () => Promise.resolve();
  const interval = 1000 / perSecond;
  const burst = Math.max(0, 1000 - interval);
  let due = Number.NEGATIVE_INFINITY;
  return async (signal) => {
    signal?.throwIfAborted();
    const now = clock.now();
    const start = Math.max(due, now - burst);
    due = start + interval;
    if (start > now) await wait(start - now, signal);
  };
}

async function waitReally(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, signal ? { signal } : {});
}
