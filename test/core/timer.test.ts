import { expect, it, vi } from 'vitest';
import { MAX_TIMER_MS, startBackgroundTimer, startTimer } from '../../src/core/timer.ts';

it.each([startTimer, startBackgroundTimer])(
  'a timer with a delay of several years does not fire immediately',
  (wake) => {
    vi.useFakeTimers();
    using _ = { [Symbol.dispose]: () => void vi.useRealTimers() };
    const callback = vi.fn<() => void>();
    const callOff = wake(callback, 3_650 * 86_400_000);
    vi.advanceTimersByTime(MAX_TIMER_MS - 1);
    expect(callback).not.toHaveBeenCalled();
    callOff();
    expect(vi.getTimerCount()).toBe(0);
  },
);
