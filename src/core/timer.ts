import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, systemClock } from './clock.ts';

/** Calls the callback after the time. Returns a function that cancels the timer. */
export type StartTimer = (callback: () => void, ms: number) => () => void;

/**
 * The longest supported delay. With a longer delay, `setTimeout` would fire immediately, so longer delays are reduced
 * to this one.
 */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export const startTimer: StartTimer = (callback, ms) => {
  const timer = setTimeout(callback, Math.min(ms, MAX_TIMER_MS));
  return () => clearTimeout(timer);
};

/** Does the same as `startTimer`, but does not keep the process alive. */
export const startBackgroundTimer: StartTimer = (callback, ms) => {
  const timer = setTimeout(callback, Math.min(ms, MAX_TIMER_MS)).unref();
  return () => clearTimeout(timer);
};

/** Resolves after the time, or as soon as the signal is aborted. An aborted signal never causes a rejection. */
export async function sleepUntilAborted(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Resolves after the time, or rejects as soon as the signal is aborted. */
export async function sleepMs(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(Math.min(ms, MAX_TIMER_MS), undefined, signal ? { signal } : {});
}

/** A clock and its timers. */
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

/** Resolves with the value of the promise, or with `undefined` after `ms`. Does not cancel the work of the promise. */
export async function within<T>(
  promise: Promise<T>,
  ms: number,
  timers: Timers = systemTimers,
): Promise<T | undefined> {
  const timeout = Promise.withResolvers<undefined>();
  const cancel = timers.wake(() => timeout.resolve(undefined), ms);
  try {
    return await Promise.race([promise, timeout.promise]);
  } finally {
    cancel();
  }
}
