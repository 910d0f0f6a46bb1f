import { type Clock, systemClock } from '../core/clock.ts';
import { type StartTimer, startTimer } from '../core/timer.ts';

export interface Timers extends Clock {
  readonly wake: StartTimer;
}

export const systemTimers: Timers = {
  now: () => systemClock.now(),
  wake: startTimer,
};

/** Resolves after the given time. */
export async function pause(ms: number, timers: Timers): Promise<void> {
  await within(new Promise(() => {}), ms, timers);
}

/** Resolves with the promise, or with `undefined` after the time. Does not cancel the promise. */
export async function within<T>(promise: Promise<T>, ms: number, timers: Timers): Promise<T | undefined> {
  const timeout = Promise.withResolvers<undefined>();
  const cancel = timers.wake(() => timeout.resolve(undefined), ms);
  try {
    return await Promise.race([promise, timeout.promise]);
  } finally {
    cancel();
  }
}
