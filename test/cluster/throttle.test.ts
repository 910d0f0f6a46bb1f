import { expect, it } from 'vitest';
import { createRequestRateLimiter } from '../../src/core/rate-limiter.ts';
import { sleepMs } from '../../src/core/timer.ts';

function paceAt(perSecond: number | undefined) {
  let now = 0;
  const waits: number[] = [];
  const wait = async (ms: number) => {
    waits.push(ms);
  };
  const pace = createRequestRateLimiter(perSecond, { clock: { now: () => now }, wait });
  return {
    waits,
    async start(requests: number) {
      for (let n = 0; n < requests; n++) await pace();
    },
    pace,
    advance(ms: number) {
      now += ms;
    },
  };
}

it('the throttle starts requests immediately up to the number allowed per second, and then spaces requests evenly', async () => {
  const { start, waits } = paceAt(10);
  await start(10);
  expect(waits).toEqual([]);
  await start(3);
  expect(waits).toEqual([100, 200, 300]);
});

it('the throttle allows another burst after a pause, but no burst exceeds the number of requests allowed per second', async () => {
  const { start, waits, advance } = paceAt(10);
  await start(10);
  advance(3_600_000);
  await start(10);
  expect(waits).toEqual([]);
  await start(1);
  expect(waits).toEqual([100]);
});

it('the throttle spaces requests by more than a second if the rate is below one per second', async () => {
  const { start, waits } = paceAt(0.5);
  await start(3);
  expect(waits).toEqual([2_000, 4_000]);
});

it('the throttle never delays a request if no rate is set', async () => {
  const { start, waits } = paceAt(undefined);
  await start(1_000);
  expect(waits).toEqual([]);
});

it('the throttle does not start a cancelled request', async () => {
  const { pace } = paceAt(1);
  const reason = new Error('cancelled');
  await expect(pace(AbortSignal.abort(reason))).rejects.toBe(reason);
});

it('the throttle can wait longer than the maximum delay of a timer', async () => {
  const cancellation = new AbortController();
  // For example, with one request per day the thousandth request starts after almost three years.
  const long = sleepMs(3 * 365 * 86_400_000, cancellation.signal);
  const first = await Promise.race([long.then(() => 'long'), sleepMs(20).then(() => 'short')]);
  expect(first).toBe('short');
  cancellation.abort();
  await expect(long).rejects.toThrow();
});
