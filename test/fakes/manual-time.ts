import type { Clock } from '../../src/core/clock.ts';

export interface ManualTime extends Clock {
  /** Advances the time. Runs the timers that become due, in order. */
  advance(ms: number): Promise<void>;
  /** Sets the time without running timers, as a change of the system clock would. */
  set(now: number): void;
  /** Runs the callback after this time. Returns a function that cancels it. */
  wake(callback: () => void, ms: number): () => void;
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
  /** The remaining time of each pending timer. */
  readonly waiting: readonly number[];
}

/** Creates a clock with timers. Its time changes only when the test advances or sets it. */
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
