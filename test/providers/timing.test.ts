import { describe, expect, it, vi } from 'vitest';
import { systemDeadline, systemSleep } from '../../src/providers/timing.ts';

const DAY = 86_400_000;

describe('a delay that is longer than a timer allows', () => {
  it.each([25, 3_650])('does not abort a signal immediately if its deadline is %i days away', (days) => {
    vi.useFakeTimers();
    try {
      const { signal, stop } = systemDeadline(days * DAY);
      vi.advanceTimersByTime(24 * DAY);
      expect(signal.aborted).toBe(false);
      stop();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('does not end a wait immediately if it is longer than a timer allows', async () => {
    const stop = new AbortController();
    const warned = vi.fn<() => void>();
    process.once('warning', warned);
    const ended = systemSleep(3_650 * DAY, stop.signal).then(
      () => 'ended',
      () => 'canceled',
    );
    await systemSleep(20, undefined);
    stop.abort();
    expect(await ended).toBe('canceled');
    process.off('warning', warned);
    expect(warned).not.toHaveBeenCalled();
  });
});
