import { type Clock, systemClock } from '../core/clock.ts';
import { systemWake, type Wake } from '../core/wake.ts';

export interface Timers extends Clock {
  readonly wake: Wake;
}

export const systemTimers: Timers = {
  now: () => systemClock.now(),
  wake: systemWake,
};

/** Resolves after the time. */
export async function pause(ms: number, timers: Timers): Promise<void> {
  await within(new Promise(() => {}), ms, timers);
}

/** Resolves with the promise, or after the time: `undefined` then. It is not called off. */
export async function within<T>(promise: Promise<T>, ms: number, timers: Timers): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const callOff = timers.wake(() => late.resolve(undefined), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    callOff();
  }
}
