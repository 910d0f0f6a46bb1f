import { describe, expect, it, vi } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import type { ReadResult } from '../../src/core/read-result.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { SecretProvider } from '../../src/providers/provider.ts';
import { withRetry } from '../../src/providers/retry.ts';
import { useFakeTimers } from '../fakes/fake-timers.ts';

const FOUND: ReadResult = { kind: 'found', value: SecretValue.fromText('x'), version: '1' };

/** Creates a provider that returns the given results for each key in order. The last result repeats. */
function scripted(script: Readonly<Record<string, readonly ReadResult[]>>) {
  const calls: string[][] = [];
  const turns = new Map<string, number>();
  const provider: SecretProvider = {
    async read(refs) {
      calls.push(refs.map(({ key }) => key));
      return refs.map(({ key }) => {
        const attempt = turns.get(key) ?? 0;
        turns.set(key, attempt + 1);
        return script[key]?.[attempt] ?? script[key]?.at(-1) ?? { kind: 'absent' };
      });
    },
    async find({ path }) {
      const [result] = await provider.read([{ key: path }]);
      if (result?.kind === 'failed') throw result.error;
      return [path];
    },
    versions: async () => [],
    check: async () => [],
    probe: async () => undefined,
    async [Symbol.asyncDispose]() {},
  };
  return { provider, calls };
}

function failed(code: ErrorCode, retryAfterMs?: number): ReadResult {
  return { kind: 'failed', error: new AppError(code, retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** Creates a provider with retries. While it waits, the test advances the time. */
function retrying(script: Parameters<typeof scripted>[0], random = 0.5) {
  const time = useFakeTimers();
  const { provider, calls } = scripted(script);
  const retried = withRetry(provider, { random: () => random });
  return {
    calls,
    provider: retried,
    /** Returns the results, and the time that the read took. */
    async read(...keys: readonly string[]) {
      const start = time.now();
      let took = 0;
      const read = retried.read(keys.map((key) => ({ key }))).finally(() => {
        took = time.now() - start;
      });
      await time.advance(60_000);
      return { results: await read, took };
    },
    time,
  };
}

describe('withRetry', () => {
  it('retries only errors that may go away', async () => {
    const { read, calls } = retrying({
      fine: [FOUND],
      slow: [failed('TIMEOUT'), failed('STORE_UNAVAILABLE'), FOUND],
      denied: [failed('ACCESS_DENIED'), FOUND],
    });
    const { results } = await read('slow', 'fine', 'denied', 'gone');
    expect(results.map(({ kind }) => kind)).toEqual(['found', 'found', 'failed', 'absent']);
    expect(calls).toEqual([['slow', 'fine', 'denied', 'gone'], ['slow'], ['slow']]);
  });

  it('makes at most three attempts, and returns the last error', async () => {
    const { read, calls } = retrying({
      a: [failed('TIMEOUT'), failed('TIMEOUT'), failed('STORE_UNAVAILABLE'), FOUND],
    });
    const { results } = await read('a');
    expect(results).toMatchObject([{ kind: 'failed', error: { code: 'STORE_UNAVAILABLE' } }]);
    expect(calls).toHaveLength(3);
  });

  it.each([
    [0, 0],
    [0.5, 250 + 500],
    [1, 500 + 1_000],
  ])(
    'doubles the waits between attempts, each with full jitter (random number %d)',
    async (random, total) => {
      const { read } = retrying({ a: [failed('TIMEOUT')] }, random);
      const { took } = await read('a');
      expect(took).toBeGreaterThanOrEqual(total);
      expect(took).toBeLessThanOrEqual(total + 2);
    },
  );

  it('waits before the next attempt for as long as the store requests', async () => {
    const { read } = retrying({
      a: [failed('THROTTLED', 3_000), FOUND],
      b: [failed('TIMEOUT'), FOUND],
    });
    expect(await read('a', 'b')).toEqual({ results: [FOUND, FOUND], took: 3_000 });
  });

  it('makes no further attempt if the store requests a wait of more than a few seconds', async () => {
    const { read, calls } = retrying({ a: [failed('THROTTLED', 60_000), FOUND] });
    expect((await read('a')).took).toBe(0);
    expect(calls).toEqual([['a']]);
  });

  it('makes no further attempt after slow attempts', async () => {
    const time = useFakeTimers();
    const { provider, calls } = scripted({ a: [failed('TIMEOUT')] });
    const slow: SecretProvider = {
      ...provider,
      async read(refs) {
        await new Promise((resolve) => setTimeout(resolve, 15_000));
        return provider.read(refs);
      },
    };
    const read = withRetry(slow).read([{ key: 'a' }]);
    await time.advance(60_000);
    await read;
    expect(calls).toHaveLength(2);
  });

  it('repeats a whole search after an error that may go away', async () => {
    const { provider } = retrying({ a: [failed('TIMEOUT'), FOUND], b: [failed('ACCESS_DENIED'), FOUND] }, 0);
    const found = provider.find({ path: 'a', tags: {} });
    await vi.advanceTimersByTimeAsync(1);
    expect(await found).toEqual(['a']);
    await expect(provider.find({ path: 'b', tags: {} })).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
  });

  it("stops waiting when the caller aborts, and rejects with the caller's reason", async () => {
    const { provider, calls, time } = retrying({ a: [failed('TIMEOUT')] });
    const controller = new AbortController();
    const read = provider.read([{ key: 'a' }], { signal: controller.signal });
    await time.advance(0);
    controller.abort(new Error('enough'));
    await expect(read).rejects.toThrow('enough');
    await time.advance(60_000);
    expect(calls).toEqual([['a']]);
  });

  it('makes no further attempt while retries are not allowed', async () => {
    const { provider, calls } = scripted({ a: [failed('TIMEOUT')] });
    await withRetry(provider, { mayRetry: () => false }).read([{ key: 'a' }]);
    expect(calls).toEqual([['a']]);
  });
});
