import { describe, expect, it, vi } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import {
  type CallReport,
  createStorePolicy,
  type StoreLimits,
  type StorePolicy,
} from '../../src/providers/policy.ts';
import { useFakeTimers } from '../fakes/fake-timers.ts';

const GENEROUS = { requestsPerSecond: 1_000_000, concurrency: 1_000, timeoutMs: 1_000 };

function limiter(limits: Partial<StoreLimits> = {}) {
  const time = useFakeTimers();
  const calls: CallReport[] = [];
  const policy = createStorePolicy({
    limits: { ...GENEROUS, ...limits },
    onCall: (report) => calls.push(report),
  });
  return { time, policy, limit: policy.limit, calls };
}

const throttled = (retryAfterMs?: number) =>
  new AppError('THROTTLED', retryAfterMs === undefined ? {} : { retryAfterMs });

/** Creates a policy with a probe. The policy slows down and pauses calls. */
function guarded(limits: Partial<StoreLimits> = {}, random = 0.5) {
  const time = useFakeTimers();
  const probe = Promise.withResolvers<void>();
  const policy: StorePolicy = createStorePolicy({
    limits: { ...GENEROUS, concurrency: 4, timeoutMs: 60_000, ...limits },
    random: () => random,
    probe: () => policy.limit(() => probe.promise, undefined, 'read'),
  });
  const { limit } = policy;
  /** Makes a call to which the store responds with THROTTLED. */
  const throttle = async (retryAfterMs?: number) =>
    expect(limit(() => Promise.reject(throttled(retryAfterMs)))).rejects.toMatchObject({ code: 'THROTTLED' });
  /** Returns how long the next call waits before it starts. */
  const delayOfNext = async () => {
    const start = time.now();
    const next = limit(async () => time.now() - start);
    await time.advance(6_000);
    return next;
  };
  return { time, policy, limit, throttle, delayOfNext };
}

/** Creates calls that stay open until the test ends them. */
function stage() {
  const started: number[] = [];
  const ends = new Map<number, () => void>();
  return {
    started,
    call: (id: number) => () => {
      started.push(id);
      return new Promise<number>((resolve) => ends.set(id, () => resolve(id)));
    },
    end: (id: number) => ends.get(id)?.(),
  };
}

describe('the concurrency limit', () => {
  it('starts calls in order, and never more at the same time than allowed', async () => {
    const { limit, time } = limiter({ concurrency: 2 });
    const { started, call, end } = stage();
    const all = [1, 2, 3, 4].map((id) => limit(call(id)));
    await time.advance(0);
    expect(started).toEqual([1, 2]);
    end(2);
    await time.advance(0);
    expect(started).toEqual([1, 2, 3]);
    end(1);
    end(3);
    await time.advance(0);
    end(4);
    expect(await Promise.all(all)).toEqual([1, 2, 3, 4]);
  });

  it('releases the permit of a call that fails', async () => {
    const { limit } = limiter({ concurrency: 1 });
    const failing = limit(() => Promise.reject(new AppError('THROTTLED')));
    const next = limit(async () => 'next');
    await expect(failing).rejects.toMatchObject({ code: 'THROTTLED' });
    expect(await next).toBe('next');
  });

  it('removes an aborted call from the queue, and never runs it', async () => {
    const { limit, time } = limiter({ concurrency: 1 });
    const { started, call, end } = stage();
    const first = limit(call(1));
    const giveUp = new AbortController();
    const second = limit(call(2), giveUp.signal);
    const third = limit(call(3));
    await time.advance(0);
    giveUp.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    end(1);
    await first;
    await time.advance(0);
    end(3);
    await third;
    expect(started).toEqual([1, 3]);
  });
});

describe('the rate limit', () => {
  it('spreads calls evenly over time, after a small burst at the start', async () => {
    const { limit, time } = limiter({ requestsPerSecond: 20 });
    let count = 0;
    const all = Array.from({ length: 100 }, () => limit(async () => (count += 1)));
    await time.advance(0);
    expect(count).toBe(2);
    await time.advance(1_000);
    expect(count).toBe(22);
    await time.advance(2_000);
    expect(count).toBe(62);
    await time.advance(10_000);
    await Promise.all(all);
  });

  it('starts the next calls on time after the clock was set back', async () => {
    const { limit, time } = limiter({ requestsPerSecond: 10 });
    await limit(async () => 1);
    vi.setSystemTime(time.now() - 3_600_000);
    const next = limit(async () => 'next');
    await time.advance(1_000);
    expect(await next).toBe('next');
  });

  it('allows a rate of less than one call per second', async () => {
    const { limit, time } = limiter({ requestsPerSecond: 0.5 });
    let count = 0;
    const all = [1, 2].map(() => limit(async () => (count += 1)));
    await time.advance(1_999);
    expect(count).toBe(1);
    await time.advance(1);
    expect(count).toBe(2);
    await Promise.all(all);
  });
});

describe('the call timeout', () => {
  it('ends a call with TIMEOUT and releases its permit, even if the call ignores its signal', async () => {
    const { limit, time } = limiter({ concurrency: 1, timeoutMs: 1_000 });
    const hanging = limit(() => new Promise(() => undefined));
    const outcome = expect(hanging).rejects.toMatchObject({ code: 'TIMEOUT' });
    await time.advance(1_000);
    await outcome;
    expect(await limit(async () => 'next')).toBe('next');
  });

  it('does not count the wait for a permit toward the timeout', async () => {
    const { limit, time } = limiter({ concurrency: 1, timeoutMs: 1_000 });
    const { call, end } = stage();
    const all = [1, 2, 3].map((id) => limit(call(id)));
    for (const id of [1, 2, 3]) {
      await time.advance(900);
      end(id);
    }
    expect(await Promise.all(all)).toEqual([1, 2, 3]);
  });

  it('leaves no timer after a call has ended', async () => {
    const { limit, time } = limiter();
    await limit(async () => 1);
    expect(time.pending).toBe(0);
  });

  it('rejects a call with the abort reason of its caller', async () => {
    const { limit } = limiter();
    const controller = new AbortController();
    const call = limit(
      (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      controller.signal,
    );
    controller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
  });
});

describe('the report of a call', () => {
  it('reports the operation, the outcome and the duration of a call', async () => {
    const { limit, time, calls } = limiter({ concurrency: 1 });
    const { call, end } = stage();
    const waiting = [limit(call(1), undefined, 'read'), limit(call(2), undefined, 'list')];
    await time.advance(300);
    end(1);
    await time.advance(200);
    end(2);
    await Promise.all(waiting);
    await expect(
      limit(() => Promise.reject(new AppError('ACCESS_DENIED')), undefined, 'login'),
    ).rejects.toThrow();
    expect(calls).toEqual([
      { operation: 'read', outcome: 'ok', ms: 300 },
      { operation: 'list', outcome: 'ok', ms: 200 },
      { operation: 'login', outcome: 'ACCESS_DENIED', ms: 0 },
    ]);
  });

  it('reports the outcome that the provider derives from a response or from an error of another library', async () => {
    const { limit, calls } = limiter();
    const throttled = () => new AppError('THROTTLED');
    expect(await limit(async () => 429, undefined, 'read', throttled)).toBe(429);
    await expect(
      limit(
        () => Promise.reject(new Error('not there')),
        undefined,
        'read',
        () => undefined,
      ),
    ).rejects.toThrow('not there');
    await expect(limit(() => Promise.reject(new Error('surprise')))).rejects.toThrow('surprise');
    expect(calls.map(({ outcome }) => outcome)).toEqual(['THROTTLED', 'ok', 'INTERNAL']);
  });

  it('reports an aborted call as INTERRUPTED, and does not report a call that never started', async () => {
    const { limit, time, calls } = limiter({ concurrency: 1 });
    const giveUp = new AbortController();
    const both = [1, 2].map(() => limit(() => new Promise(() => undefined), giveUp.signal));
    const ended = Promise.allSettled(both);
    await time.advance(0);
    giveUp.abort(new Error('enough'));
    await ended;
    expect(calls).toMatchObject([{ outcome: 'INTERRUPTED' }]);
  });
});

it('rejects all waiting calls when the policy is closed, and lets running calls end', async () => {
  const { limit, policy, time } = limiter({ concurrency: 1 });
  const { call, end, started } = stage();
  const first = limit(call(1));
  const others = Promise.allSettled([limit(call(2)), limit(call(3))]);
  await time.advance(0);
  policy[Symbol.dispose]();
  expect(await others).toMatchObject([
    { reason: { code: 'INTERRUPTED' } },
    { reason: { code: 'INTERRUPTED' } },
  ]);
  end(1);
  await first;
  expect([started, time.pending]).toEqual([[1], 0]);
});

it('sends a probe without waiting for other calls, and ends it after five seconds', async () => {
  const { policy, limit, time } = guarded({ concurrency: 1 });
  const failed = Array.from({ length: 3 }, () =>
    limit(() => Promise.reject(new AppError('STORE_UNAVAILABLE'))),
  );
  const { call, end } = stage();
  const running = limit(call(1));
  const waiting = Promise.allSettled([limit(call(2))]);
  await Promise.allSettled(failed);
  await time.advance(0);
  expect(policy.outage).toBeUndefined();
  await time.advance(5_000);
  expect(policy.outage).toMatchObject({ code: 'TIMEOUT' });
  expect(await waiting).toMatchObject([{ reason: { code: 'TIMEOUT' } }]);
  end(1);
  await running;
  expect(policy.outage).toBeUndefined();
  policy[Symbol.dispose]();
});

describe('a throttled store', () => {
  it('pauses calls for as long as the throttling store requests', async () => {
    const { throttle, delayOfNext, policy } = guarded();
    await throttle(3_000);
    expect(policy.trouble).toMatchObject({ code: 'THROTTLED' });
    expect(await delayOfNext()).toBe(3_000);
  });

  it('pauses calls for times that double if the throttling store requests no delay', async () => {
    const { limit, time } = guarded({ concurrency: 1 }, 1);
    const begin = time.now();
    const starts: number[] = [];
    const ended = Promise.allSettled(
      Array.from({ length: 6 }, () =>
        limit(() => {
          starts.push(time.now() - begin);
          return Promise.reject(throttled());
        }),
      ),
    );
    await time.advance(10_000);
    await ended; // after the fifth call, the pause is longer than a call may wait
    expect(starts).toEqual([0, 500, 1_500, 3_500, 7_500]);
  });

  it('if the store throttles several calls at the same time, pauses calls once, for the longest delay that the store requests', async () => {
    const { throttle, delayOfNext } = guarded();
    await Promise.all([throttle(), throttle(2_000), throttle(1_000)]);
    expect(await delayOfNext()).toBe(2_000);
  });

  it('rejects new and waiting calls immediately during a long pause, and reports the remaining time of the pause', async () => {
    const { limit, time, throttle, delayOfNext } = guarded();
    const late = Promise.withResolvers<never>();
    const running = expect(limit(() => late.promise)).rejects.toMatchObject({ code: 'THROTTLED' });
    await throttle(2_000);
    const waiting = expect(limit(async () => 1)).rejects.toMatchObject({ code: 'THROTTLED' });
    late.reject(throttled(20_000));
    await Promise.all([running, waiting]);
    await time.advance(1_000);
    await expect(limit(async () => 1)).rejects.toMatchObject({ code: 'THROTTLED', retryAfterMs: 19_000 });
    await time.advance(14_000);
    expect(await delayOfNext()).toBe(5_000);
  });

  it('never pauses calls for more than five minutes', async () => {
    const { limit, throttle } = guarded();
    await throttle(86_400_000);
    await expect(limit(async () => 1)).rejects.toMatchObject({ retryAfterMs: 300_000 });
  });

  it('pauses calls for as long as an unavailable store requests', async () => {
    const { limit } = guarded();
    const busy = new AppError('STORE_UNAVAILABLE', { retryAfterMs: 20_000 });
    await expect(limit(() => Promise.reject(busy))).rejects.toThrow();
    await expect(limit(async () => 1)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('halves the rate after a pause, for calls that waited during the pause too', async () => {
    const { limit, throttle, time, policy } = guarded({ requestsPerSecond: 2_000 }, 0);
    for (let call = 0; call < 100; call += 1) await limit(async () => call);
    await throttle(100);
    expect(policy.trouble).toMatchObject({ code: 'THROTTLED' });
    const begin = time.now();
    const ended = Promise.all(
      Array.from({ length: 55 }, () => limit(async () => (time.now() - begin <= 600 ? 'early' : 'late'))),
    );
    await time.advance(3_000);
    const early = (await ended).filter((when) => when === 'early');
    // After the pause, a burst of a tenth of a second, and then 50 calls per second for half a second.
    expect(early.length).toBeGreaterThan(25);
    expect(early.length).toBeLessThan(40);
    expect(policy.trouble).toBeUndefined();
  });
});
