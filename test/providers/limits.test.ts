import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { type CallReport, createLimiter, runAsProbe } from '../../src/providers/limits.ts';
import { systemSleep } from '../../src/providers/timing.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { manualDeadline } from './manual-deadline.ts';

function limiter(options: { requestsPerSecond?: number; concurrency?: number; timeoutMs?: number } = {}) {
  const time = createManualTime();
  const calls: CallReport[] = [];
  const { requestsPerSecond = 1_000_000, concurrency = 1_000, timeoutMs = 1_000 } = options;
  const { limit, clear } = createLimiter({
    requestsPerSecond,
    concurrency,
    timeoutMs,
    clock: time,
    sleep: time.sleep,
    deadline: manualDeadline(time),
    onCall: (report) => calls.push(report),
  });
  return { time, limit, clear, calls };
}

/** Calls that stay open until the test ends them. */
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
  it('starts calls in order, and no more than allowed at a time', async () => {
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

  it('releases the permit after a failure', async () => {
    const { limit } = limiter({ concurrency: 1 });
    const failing = limit(() => Promise.reject(new AppError('THROTTLED')));
    const next = limit(async () => 'next');
    await expect(failing).rejects.toMatchObject({ code: 'THROTTLED' });
    expect(await next).toBe('next');
  });

  it('removes an aborted call from the queue without running it', async () => {
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
  it('spreads calls evenly, with a small burst at the start', async () => {
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

  it('still allows calls after the clock is set back', async () => {
    const { limit, time } = limiter({ requestsPerSecond: 1 });
    await limit(async () => 1);
    time.set(time.now() - 3_600_000);
    let done = false;
    const next = limit(async () => (done = true));
    await time.advance(1_000);
    expect(done).toBe(true);
    await next;
  });

  it('can be lower than one call per second', async () => {
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
  it('ends a call with TIMEOUT and releases its permit, even if the call ignores its abort signal', async () => {
    const { limit, time } = limiter({ concurrency: 1, timeoutMs: 1_000 });
    const hanging = limit(() => new Promise(() => undefined));
    const outcome = expect(hanging).rejects.toMatchObject({ code: 'TIMEOUT' });
    await time.advance(1_000);
    await outcome;
    expect(await limit(async () => 'next')).toBe('next');
  });

  it('excludes the wait for a permit', async () => {
    const { limit, time } = limiter({ concurrency: 1, timeoutMs: 1_000 });
    const { call, end } = stage();
    const all = [1, 2, 3].map((id) => limit(call(id)));
    for (const id of [1, 2, 3]) {
      await time.advance(900);
      end(id);
    }
    expect(await Promise.all(all)).toEqual([1, 2, 3]);
  });

  it('keeps no timer after the call', async () => {
    const { limit, time } = limiter();
    await limit(async () => 1);
    expect(time.waiting).toEqual([]);
  });

  it('passes on the abort reason of the caller', async () => {
    const { limit } = limiter();
    const controller = new AbortController();
    const call = limit(
      (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      controller.signal,
    );
    controller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
  });

  it('works with the system timers', async () => {
    const { limit } = createLimiter({
      requestsPerSecond: 1e6,
      concurrency: 1,
      timeoutMs: 1,
      clock: { now: () => 0 },
    });
    await expect(limit(() => new Promise(() => undefined))).rejects.toMatchObject({ code: 'TIMEOUT' });
    await systemSleep(0, undefined);
    await expect(systemSleep(60_000, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  });
});

describe('the report of a call', () => {
  it('contains its operation, outcome and duration', async () => {
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

  it("uses the provider's classification of a response or of a foreign error", async () => {
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

  it('has the outcome INTERRUPTED for an aborted call, and is omitted for a call that never started', async () => {
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

it('clearing the limit rejects all waiting calls and lets running calls continue', async () => {
  const { limit, clear, time } = limiter({ concurrency: 1 });
  const { call, end, started } = stage();
  const first = limit(call(1));
  const others = Promise.allSettled([limit(call(2)), limit(call(3))]);
  await time.advance(0);
  clear(new AppError('STORE_UNAVAILABLE'));
  expect(await others).toMatchObject([
    { reason: { code: 'STORE_UNAVAILABLE' } },
    { reason: { code: 'STORE_UNAVAILABLE' } },
  ]);
  end(1);
  await first;
  expect(started).toEqual([1]);
  expect(await limit(async () => 'next')).toBe('next');
});

it('a probe does not wait for other calls, and times out after five seconds', async () => {
  const { limit, time, calls } = limiter({ concurrency: 1, timeoutMs: 60_000 });
  const { call, end } = stage();
  const first = limit(call(1));
  const probe = runAsProbe(() => limit(() => new Promise(() => undefined), undefined, 'read'));
  const outcome = expect(probe).rejects.toMatchObject({ code: 'TIMEOUT' });
  await time.advance(5_000);
  await outcome;
  expect(calls).toEqual([{ operation: 'probe', outcome: 'TIMEOUT', ms: 5_000 }]);
  end(1);
  await first;
});
