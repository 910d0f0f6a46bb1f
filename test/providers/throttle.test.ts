import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createLimiter } from '../../src/providers/limits.ts';
import { createThrottle } from '../../src/providers/throttle.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { manualDeadline } from './manual-deadline.ts';

const throttled = (retryAfterMs?: number) =>
  new AppError('THROTTLED', retryAfterMs === undefined ? {} : { retryAfterMs });

function throttleWith(random = 0.999999) {
  const time = createManualTime();
  const throttle = createThrottle({ clock: time, random: () => random });
  return { time, throttle, note: (error?: AppError) => throttle.record(error, throttle.begin()) };
}

describe('a throttled store', () => {
  it('pauses as long as the store requests', () => {
    const { throttle, note } = throttleWith();
    note(throttled(3_000));
    expect(throttle.wait()).toBe(3_000);
  });

  it('pauses with a doubling backoff if the store requests no time', async () => {
    const { throttle, note, time } = throttleWith();
    const pauses: number[] = [];
    for (let round = 0; round < 9; round += 1) {
      note(throttled());
      pauses.push(Math.round(throttle.wait()));
      await time.advance(throttle.wait());
    }
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  it('uses full jitter, and resets the backoff after a success', async () => {
    const { throttle, note, time } = throttleWith(0.5);
    note(throttled());
    note(throttled());
    expect(throttle.wait()).toBe(500);
    await time.advance(500);
    note(undefined);
    note(throttled());
    expect(throttle.wait()).toBe(250);
  });

  it('limits the pause, even if the store requests a longer one', () => {
    const { throttle, note } = throttleWith();
    note(throttled(86_400_000));
    expect(throttle.wait()).toBe(300_000);
  });

  it('counts concurrent throttled calls as one and uses their longest wait', () => {
    const { throttle } = throttleWith();
    const begun = [1, 2, 3].map(() => throttle.begin());
    const delays = [undefined, 2_000, 1_000];
    for (const [index, ticket] of begun.entries()) throttle.record(throttled(delays[index]), ticket);
    expect(throttle.wait()).toBe(2_000);
    expect(throttle.share()).toBe(0.5);
  });

  it('restores its rate linearly within a minute', async () => {
    const { throttle, note, time } = throttleWith();
    note(throttled(0));
    expect(throttle.share()).toBe(0.5);
    await time.advance(15_000);
    expect(throttle.share()).toBe(0.75);
    expect(throttle.error?.code).toBe('THROTTLED');
    await time.advance(15_000);
    expect(throttle.share()).toBe(1);
    expect(throttle.error).toBeUndefined();
  });

  it('never reduces its rate below a minimum', () => {
    const { throttle, note } = throttleWith();
    for (let round = 0; round < 100; round += 1) note(throttled());
    expect(throttle.share()).toBe(1 / 32);
  });

  it('rejects calls at once during a long pause, with the remaining time', async () => {
    const { throttle, note, time } = throttleWith();
    note(throttled(20_000));
    await time.advance(1_000);
    expect(() => throttle.check()).toThrow(
      expect.objectContaining({ code: 'THROTTLED', retryAfterMs: 19_000 }),
    );
    await time.advance(14_000);
    expect(() => throttle.check()).not.toThrow();
  });

  it('still allows calls after the clock is set back', () => {
    const { throttle, note, time } = throttleWith();
    note(throttled(20_000));
    time.set(time.now() - 3_600_000);
    expect([throttle.wait(), throttle.share()]).toEqual([0, 1]);
  });

  it('also pauses if it is unavailable and requests a wait', () => {
    const { throttle, note } = throttleWith();
    note(new AppError('STORE_UNAVAILABLE', { retryAfterMs: 20_000 }));
    expect(() => throttle.check()).toThrow(expect.objectContaining({ code: 'STORE_UNAVAILABLE' }));
  });
});

describe('calls to a throttled store', () => {
  function limited() {
    const time = createManualTime();
    const throttle = createThrottle({ clock: time, random: () => 0 });
    const { limit } = createLimiter({
      requestsPerSecond: 1_000,
      concurrency: 4,
      timeoutMs: 10_000,
      clock: time,
      sleep: time.sleep,
      deadline: manualDeadline(time),
      throttle,
    });
    return { time, limit };
  }

  it('wait for the end of a short pause', async () => {
    const { time, limit } = limited();
    await expect(limit(() => Promise.reject(throttled(2_000)))).rejects.toThrow();
    const delays: number[] = [];
    const start = time.now();
    const all = Array.from({ length: 20 }, () => limit(async () => delays.push(time.now() - start)));
    await time.advance(1_999);
    expect(delays).toEqual([]);
    await time.advance(1_000);
    await Promise.all(all);
    expect(Math.min(...delays)).toBe(2_000);
  });

  it('fail at once during a long pause, including calls that were already waiting', async () => {
    const { time, limit } = limited();
    const hold = Promise.withResolvers<never>();
    const first = expect(limit(() => hold.promise)).rejects.toThrow();
    await expect(limit(() => Promise.reject(throttled(2_000)))).rejects.toThrow();
    const waiting = expect(limit(async () => 1)).rejects.toMatchObject({ code: 'THROTTLED' });
    await time.advance(1_000);
    hold.reject(throttled(60_000));
    await first;
    await expect(limit(async () => 1)).rejects.toMatchObject({ code: 'THROTTLED', retryAfterMs: 60_000 });
    await time.advance(1_000);
    await waiting;
  });

  it('are sent at half the rate after the pause', async () => {
    const { time, limit } = limited();
    await expect(limit(() => Promise.reject(throttled(100)))).rejects.toThrow();
    await time.advance(100);
    let count = 0;
    const all = Array.from({ length: 3_000 }, () => limit(async () => (count += 1)));
    await time.advance(1_000);
    expect(count).toBeGreaterThan(500);
    expect(count).toBeLessThan(650);
    await time.advance(10_000);
    await Promise.all(all);
  });
});
