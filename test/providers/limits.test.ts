import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { createLimiter, type Deadline, systemSleep, withRetry } from '../../src/providers/limits.ts';
import type { ReadResult, SecretProvider } from '../../src/providers/provider.ts';
import { createManualTime } from '../fakes/manual-time.ts';

function limiter(options: { requestsPerSecond?: number; concurrency?: number; timeoutMs?: number } = {}) {
  const time = createManualTime();
  const deadline = (ms: number): Deadline => {
    const controller = new AbortController();
    const stop = time.wake(() => controller.abort(new AppError('TIMEOUT')), ms);
    return { signal: controller.signal, stop };
  };
  const { requestsPerSecond = 1_000_000, concurrency = 1_000, timeoutMs = 1_000 } = options;
  const limit = createLimiter({
    requestsPerSecond,
    concurrency,
    timeoutMs,
    clock: time,
    sleep: time.sleep,
    deadline,
  });
  return { time, limit };
}

/** Calls that end when the test says so. */
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

describe('the limit of concurrency', () => {
  it('starts calls in their order, no more than allowed at a time', async () => {
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

  it('gives the place on after a failure', async () => {
    const { limit } = limiter({ concurrency: 1 });
    const failing = limit(() => Promise.reject(new AppError('THROTTLED')));
    const next = limit(async () => 'next');
    await expect(failing).rejects.toMatchObject({ code: 'THROTTLED' });
    expect(await next).toBe('next');
  });

  it('lets one who gives up leave the queue, and never runs his call', async () => {
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

describe('the limit of rate', () => {
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

  it('does not stand still when the clock is set back', async () => {
    const { limit, time } = limiter({ requestsPerSecond: 1 });
    await limit(async () => 1);
    time.set(time.now() - 3_600_000);
    let done = false;
    const next = limit(async () => (done = true));
    await time.advance(1_000);
    expect(done).toBe(true);
    await next;
  });

  it('allows less than one call a second', async () => {
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

describe('the limit of time', () => {
  it('ends a call with TIMEOUT, also one that ignores its signal, and gives its place on', async () => {
    const { limit, time } = limiter({ concurrency: 1, timeoutMs: 1_000 });
    const hanging = limit(() => new Promise(() => undefined));
    const outcome = expect(hanging).rejects.toMatchObject({ code: 'TIMEOUT' });
    await time.advance(1_000);
    await outcome;
    expect(await limit(async () => 'next')).toBe('next');
  });

  it('does not count the wait for a place', async () => {
    const { limit, time } = limiter({ concurrency: 1, timeoutMs: 1_000 });
    const { call, end } = stage();
    const all = [1, 2, 3].map((id) => limit(call(id)));
    for (const id of [1, 2, 3]) {
      await time.advance(900);
      end(id);
    }
    expect(await Promise.all(all)).toEqual([1, 2, 3]);
  });

  it('leaves no timer behind', async () => {
    const { limit, time } = limiter();
    await limit(async () => 1);
    expect(time.waiting).toEqual([]);
  });

  it('hands on the reason of the caller', async () => {
    const { limit } = limiter();
    const controller = new AbortController();
    const call = limit(
      (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      controller.signal,
    );
    controller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
  });

  it('works with the timers of the system', async () => {
    const limit = createLimiter({
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

describe('a store that does not answer', () => {
  const hang = () => new Promise<never>(() => undefined);

  async function exhausted() {
    const it = limiter({ concurrency: 5, timeoutMs: 1_000 });
    const calls = Array.from({ length: 5 }, () => it.limit(hang));
    const outcome = Promise.allSettled(calls);
    await it.time.advance(1_000);
    await outcome;
    return it;
  }

  it('is not asked for a while, so that a thousand reads do not each wait', async () => {
    const { limit } = await exhausted();
    let asked = false;
    await expect(limit(async () => (asked = true))).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(asked).toBe(false);
  });

  it('is tried by one call then, and by all once that one had an answer', async () => {
    const { limit, time } = await exhausted();
    time.set(time.now() + 10_000);
    const { call, end, started } = stage();
    const trial = limit(call(1));
    await expect(limit(call(2))).rejects.toMatchObject({ code: 'TIMEOUT' });
    await time.advance(0);
    end(1);
    await trial;
    const next = limit(call(3));
    await time.advance(0);
    end(3);
    await next;
    expect(started).toEqual([1, 3]);
  });

  it('is left alone again when the trial had no answer either', async () => {
    const { limit, time } = await exhausted();
    time.set(time.now() + 10_000);
    const trial = expect(limit(hang)).rejects.toMatchObject({ code: 'TIMEOUT' });
    await time.advance(1_000);
    await trial;
    await expect(limit(async () => 1)).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  it('is not what a store looks like that refuses at once', async () => {
    const { limit } = limiter();
    for (let round = 0; round < 20; round += 1) {
      await expect(limit(() => Promise.reject(new AppError('STORE_UNAVAILABLE')))).rejects.toThrow();
    }
    expect(await limit(async () => 'next')).toBe('next');
  });
});

const FOUND: ReadResult = { kind: 'found', value: SecretValue.fromText('x'), version: '1' };

/** A provider that answers each key by its script, the last answer for ever. */
function scripted(script: Readonly<Record<string, readonly ReadResult[]>>) {
  const asked: string[][] = [];
  const turns = new Map<string, number>();
  const provider: SecretProvider = {
    async read(refs) {
      asked.push(refs.map(({ key }) => key));
      return refs.map(({ key }) => {
        const turn = turns.get(key) ?? 0;
        turns.set(key, turn + 1);
        return script[key]?.[turn] ?? script[key]?.at(-1) ?? { kind: 'absent' };
      });
    },
    async find({ path }) {
      const [result] = await provider.read([{ key: path }]);
      if (result?.kind === 'failed') throw result.error;
      return [path];
    },
    versions: async () => [],
    check: async () => [],
    async [Symbol.asyncDispose]() {},
  };
  return { provider, asked };
}

const keysOf = (count: number) => Array.from({ length: count }, (_, index) => ({ key: `k${index}` }));

function failed(code: ErrorCode, retryAfterMs?: number): ReadResult {
  return { kind: 'failed', error: new AppError(code, retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

function retrying(script: Parameters<typeof scripted>[0], random = 0.5) {
  const time = createManualTime();
  const waits: number[] = [];
  const { provider, asked } = scripted(script);
  const sleep = async (ms: number) => {
    waits.push(ms);
    time.set(time.now() + ms);
  };
  return { provider: withRetry(provider, { clock: time, sleep, random: () => random }), asked, waits, time };
}

describe('withRetry', () => {
  it('asks again for what may mend itself, and for nothing else', async () => {
    const { provider, asked } = retrying({
      fine: [FOUND],
      slow: [failed('TIMEOUT'), failed('STORE_UNAVAILABLE'), FOUND],
      denied: [failed('ACCESS_DENIED'), FOUND],
    });
    const results = await provider.read(['slow', 'fine', 'denied', 'gone'].map((key) => ({ key })));
    expect(results.map(({ kind }) => kind)).toEqual(['found', 'found', 'failed', 'absent']);
    expect(asked).toEqual([['slow', 'fine', 'denied', 'gone'], ['slow'], ['slow']]);
  });

  it('gives up after three attempts, with the last error', async () => {
    const { provider, asked } = retrying({
      a: [failed('TIMEOUT'), failed('TIMEOUT'), failed('STORE_UNAVAILABLE'), FOUND],
    });
    const [result] = await provider.read([{ key: 'a' }]);
    expect(result).toMatchObject({ kind: 'failed', error: { code: 'STORE_UNAVAILABLE' } });
    expect(asked).toHaveLength(3);
  });

  it('doubles its waits, with full jitter', async () => {
    for (const [random, expected] of [
      [0, [0, 0]],
      [0.5, [250, 500]],
      [0.999, [499.5, 999]],
    ] as const) {
      const { provider, waits } = retrying({ a: [failed('TIMEOUT')] }, random);
      await provider.read([{ key: 'a' }]);
      expect(waits).toEqual(expected);
    }
  });

  it('waits as long as the store asks', async () => {
    const { provider, waits } = retrying({
      a: [failed('THROTTLED', 3_000), FOUND],
      b: [failed('TIMEOUT'), FOUND],
    });
    const results = await provider.read([{ key: 'a' }, { key: 'b' }]);
    expect(results).toEqual([FOUND, FOUND]);
    expect(waits).toEqual([3_000]);
  });

  it('gives up at once when the store asks for longer than a few seconds', async () => {
    const { provider, waits, asked } = retrying({ a: [failed('THROTTLED', 60_000), FOUND] });
    await provider.read([{ key: 'a' }]);
    expect([waits, asked]).toEqual([[], [['a']]]);
  });

  it('makes no further attempt once the attempts themselves have taken long', async () => {
    const time = createManualTime();
    const { provider, asked } = scripted({ a: [failed('TIMEOUT')] });
    const slow: SecretProvider = {
      ...provider,
      async read(refs) {
        time.set(time.now() + 15_000);
        return provider.read(refs);
      },
    };
    await withRetry(slow, { clock: time, sleep: async () => undefined }).read([{ key: 'a' }]);
    expect(asked).toHaveLength(2);
  });

  it('asks a store that is still in trouble for three only', async () => {
    const script = Object.fromEntries(keysOf(100).map(({ key }) => [key, [failed('THROTTLED')]]));
    const { provider, asked } = retrying(script);
    const results = await provider.read(keysOf(100));
    expect(results.every(({ kind }) => kind === 'failed')).toBe(true);
    expect(asked.map((keys) => keys.length)).toEqual([100, 3, 3]);
  });

  it('asks for all the others once one of the three had its answer', async () => {
    const script = Object.fromEntries(keysOf(100).map(({ key }) => [key, [failed('THROTTLED'), FOUND]]));
    const { provider, asked } = retrying({ ...script, k0: [failed('THROTTLED')] });
    const results = await provider.read(keysOf(100));
    expect(results.filter(({ kind }) => kind === 'found')).toHaveLength(99);
    expect(asked.map((keys) => keys.length)).toEqual([100, 3, 97, 1]);
  });

  it('repeats a search as a whole', async () => {
    const { provider } = retrying({ a: [failed('TIMEOUT'), FOUND], b: [failed('ACCESS_DENIED'), FOUND] });
    expect(await provider.find({ path: 'a', tags: {} })).toEqual(['a']);
    await expect(provider.find({ path: 'b', tags: {} })).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
  });

  it('ends its wait with the reason of the caller', async () => {
    const time = createManualTime();
    const { provider } = scripted({ a: [failed('TIMEOUT')] });
    const controller = new AbortController();
    const read = withRetry(provider, { clock: time, sleep: time.sleep }).read([{ key: 'a' }], {
      signal: controller.signal,
    });
    await time.advance(0);
    controller.abort(new Error('enough'));
    await expect(read).rejects.toThrow('enough');
  });
});
