import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AdaptiveRate, type LoadSign } from '../../src/providers/adaptive-rate.ts';

/** Creates a rate with its own clock. */
function adaptive(maximum: number, busy = 0) {
  const clock = { now: 0 };
  const rate = new AdaptiveRate({ maximum, now: () => clock.now, busyShare: () => busy });
  const repeat = (sign: LoadSign, count: number, ms?: number) => {
    for (let n = 0; n < count; n += 1) rate.record(sign, ms);
  };
  return { clock, rate, repeat };
}

interface Store {
  /** The number of requests that the store answers in each second. It throttles all others. */
  readonly capacity: number;
  readonly answerMs: number;
  /** The time of the first request within the store's second. */
  readonly offsetMs: number;
}

interface Load {
  readonly maximum: number;
  readonly concurrency: number;
  readonly seconds: number;
}

/** Sends requests as fast as the rate and the concurrency allow. Returns the numbers of throttled and answered ones. */
function run({ capacity, answerMs, offsetMs }: Store, { maximum, concurrency, seconds }: Load) {
  const { clock, rate } = adaptive(maximum);
  const throttledAt: number[] = [];
  let answered = 0;
  let round = 0;
  let nextAt = 0;
  let counted = { second: -1, requests: 0 };
  let running: { readonly endsAt: number; readonly isAccepted: boolean; readonly round: number }[] = [];
  for (; clock.now < seconds * 1_000; clock.now += 1) {
    for (const request of running.filter(({ endsAt }) => endsAt <= clock.now)) {
      if (request.isAccepted) {
        answered += 1;
        rate.record('answered', answerMs);
        continue;
      }
      throttledAt.push(clock.now);
      if (request.round !== round) continue;
      round += 1;
      rate.record('throttled');
    }
    running = running.filter(({ endsAt }) => endsAt > clock.now);
    while (running.length < concurrency && nextAt <= clock.now) {
      nextAt = Math.max(nextAt, clock.now - 1) + 1_000 / rate.perSecond;
      const second = Math.floor((clock.now + offsetMs) / 1_000);
      if (counted.second !== second) counted = { second, requests: 0 };
      counted.requests += 1;
      const isAccepted = counted.requests <= capacity;
      running.push({ endsAt: clock.now + answerMs, isAccepted, round });
    }
  }
  return { throttledAt, answered };
}

describe('the adaptive rate', () => {
  it('never exceeds the maximum, and stays above zero', () => {
    const step = fc.record({
      sign: fc.constantFrom<LoadSign>('answered', 'unanswered', 'throttled'),
      count: fc.integer({ min: 1, max: 300 }),
      ms: fc.integer({ min: 0, max: 20_000 }),
      waitMs: fc.integer({ min: 0, max: 60_000 }),
    });
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 10_000, noNaN: true }), fc.array(step), (maximum, steps) => {
        const { clock, rate, repeat } = adaptive(maximum);
        for (const { sign, count, ms, waitMs } of steps) {
          repeat(sign, count, ms);
          clock.now += waitMs;
          expect(rate.perSecond).toBeLessThanOrEqual(maximum);
          expect(rate.perSecond).toBeGreaterThanOrEqual(Math.min(1, maximum));
        }
      }),
    );
  });

  it('drops to half of the answered rate, at most once in a second, and is back after minutes', () => {
    const { clock, rate, repeat } = adaptive(1_000);
    repeat('answered', 200);
    repeat('throttled', 5);
    expect(rate.perSecond).toBeCloseTo(100);
    clock.now = 999;
    repeat('throttled', 5);
    expect(rate.perSecond).toBeGreaterThan(100);
    clock.now = 1_000;
    repeat('throttled', 5);
    expect(rate.perSecond).toBeCloseTo(25, 0);
    const rates = [20_000, 40_000, 80_000].map((ms) => {
      clock.now = 1_000 + ms;
      return Math.round(rate.perSecond);
    });
    expect(rates).toEqual([38, 50, 375]);
    clock.now = 300_000;
    expect(rate.perSecond).toBe(1_000);
  });

  it('throttles a store with any capacity for at most a second, and then uses more than half of the capacity', () => {
    const store = fc.record({
      capacity: fc.integer({ min: 60, max: 800 }),
      answerMs: fc.integer({ min: 1, max: 50 }),
      offsetMs: fc.constant(0),
    });
    fc.assert(
      fc.property(store, fc.integer({ min: 4, max: 64 }), (ofStore, concurrency) => {
        const { throttledAt, answered } = run(ofStore, { maximum: 2_000, concurrency, seconds: 20 });
        const [first = 0] = throttledAt;
        expect(throttledAt.filter((at) => at > first + 1_000)).toEqual([]);
        const possible = Math.min(ofStore.capacity, (1_000 / ofStore.answerMs) * concurrency);
        expect(answered).toBeGreaterThan(0.5 * possible * 20);
      }),
      { numRuns: 30 },
    );
  });

  it('at any time within the second of the store, throttles at most three short times in half a minute', () => {
    const store = fc.record({
      capacity: fc.constant(100),
      answerMs: fc.integer({ min: 1, max: 50 }),
      offsetMs: fc.integer({ min: 0, max: 999 }),
    });
    fc.assert(
      fc.property(store, (ofStore) => {
        const { throttledAt } = run(ofStore, { maximum: 1_000, concurrency: 16, seconds: 30 });
        const seconds = new Set(throttledAt.map((at) => Math.floor(at / 1_000)));
        expect(seconds.size).toBeLessThanOrEqual(3);
      }),
      { numRuns: 20 },
    );
  });
});

describe('a store that does not throttle', () => {
  it('gets fewer requests if a fifth of its answers is missing, but not because of a few broken keys', () => {
    const { rate, repeat } = adaptive(1_000);
    repeat('answered', 100);
    repeat('unanswered', 24);
    expect(rate.perSecond).toBe(1_000);
    repeat('unanswered', 1);
    expect(rate.perSecond).toBeCloseTo(50);
  });

  it('keeps its rate if it does not answer at all, because the circuit breaker acts then', () => {
    const { clock, rate, repeat } = adaptive(1_000);
    clock.now = 10_000;
    repeat('unanswered', 100);
    expect(rate.perSecond).toBe(1_000);
  });

  it.each([
    ['its fastest answers get slow', { ms: 150, busy: 0.2 }, 50],
    ['a slow answer is normal', { ms: 139, busy: 0.2 }, 1_000],
    ['this process delays the answers', { ms: 5_000, busy: 0.9 }, 1_000],
  ])('%s', (_, { ms, busy }, expected) => {
    const { clock, rate, repeat } = adaptive(1_000, busy);
    repeat('answered', 50, 10);
    clock.now += 1_000;
    repeat('answered', 100, ms);
    clock.now += 1_000;
    repeat('answered', 1, ms);
    expect(Math.round(rate.perSecond)).toBe(expected);
  });

  it('keeps its rate while it answers only lists and a few slow reads', () => {
    const { clock, rate, repeat } = adaptive(1_000);
    repeat('answered', 50, 10);
    for (const slowReads of [0, 9, 0]) {
      clock.now += 1_000;
      repeat('answered', 50);
      repeat('answered', slowReads, 5_000);
    }
    clock.now += 1_000;
    repeat('answered', 1);
    expect(rate.perSecond).toBe(1_000);
  });

  it.each([
    ['rises soon after slow answers that the lower rate did not make faster', 10, 138],
    ['rises slowly if the lower rate made the answers faster', 1, 38],
  ])('%s', (_, slowSeconds, expected) => {
    const { clock, rate, repeat } = adaptive(1_000);
    const answer = (seconds: number, ms: number) => {
      for (let second = 0; second < seconds; second += 1) {
        clock.now += 1_000;
        repeat('answered', 50, ms);
      }
    };
    answer(2, 10);
    answer(1 + slowSeconds, 1_200);
    expect(rate.perSecond).toBeLessThan(38);
    answer(22, 10);
    expect(Math.round(rate.perSecond)).toBe(expected);
  });

  it('gets fewer requests only once if the way to it became longer', () => {
    const { clock, rate, repeat } = adaptive(1_000);
    repeat('answered', 50, 10);
    for (let second = 1; second <= 60; second += 1) {
      clock.now = second * 1_000;
      repeat('answered', 50, 200);
    }
    expect(rate.perSecond).toBeGreaterThan(50);
  });
});
