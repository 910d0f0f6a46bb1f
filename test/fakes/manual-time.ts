import type { Clock } from '../../src/core/clock.ts';

export interface ManualTime extends Clock {
  /** Advances the time and runs due timers in order. */
  advance(ms: number): Promise<void>;
  /** Sets the time without running timers, like a change of the system clock. */
  set(now: number): void;
  /** Runs the callback after this time. Returns a function that cancels the timer. */
  wake(callback: () => void, ms: number): () => void;
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
  /** The remaining times of the pending timers. */
  readonly waiting: readonly number[];
}

/** Creates a clock with timers. The test advances the clock. */
export function createManualTime(start = 1_800_000_000_000): ManualTime {
  let now = start;
  const timers = new Set<{ at: number; callback: () => void }>();
  const wake = (callback: () => void, ms: number) => {
    const timer = { at: now + ms, callback };
    timers.add(timer);
    return () => void timers.delete(timer);
  };
  return {
    now: () => now,
    wake,
    set(next) {
      now = next;
    },
    async advance(ms) {
      const end = now + ms;
      await settled();
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (next === undefined) break;
        timers.delete(next);
        now = Math.max(now, next.at);
        next.callback();
        await settled();
      }
      now = end;
    },
    sleep(ms, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const callOff = wake(resolve, ms);
      signal?.addEventListener('abort', () => {
        callOff();
        reject(signal.reason);
      });
      return promise;
    },
    get waiting() {
      return [...timers].map(({ at }) => at - now).sort((a, b) => a - b);
    },
  };
}

/** Lets pending promise callbacks run. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
