import { onTestFinished, vi } from 'vitest';

export interface FakeTimers {
  now(): number;
  /** Advances the time. Runs the timers that become due, in order. */
  advance(ms: number): Promise<void>;
  /** The number of pending timers. */
  readonly pending: number;
}

/** Replaces the timers and clocks of this process until the test ends, except for `setImmediate`. */
export function useFakeTimers(): FakeTimers {
  vi.useFakeTimers({
    now: 1_800_000_000_000,
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
  });
  onTestFinished(() => void vi.useRealTimers());
  return {
    now: () => Date.now(),
    async advance(ms) {
      await settled();
      await vi.advanceTimersByTimeAsync(ms);
      await settled();
    },
    get pending() {
      return vi.getTimerCount();
    },
  };
}

/** Lets pending promise callbacks run. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
