import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import type { ReadResult } from '../../src/core/read-result.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { SecretProvider } from '../../src/providers/provider.ts';
import { withRetry } from '../../src/providers/retry.ts';
import { createManualTime } from '../fakes/manual-time.ts';

const FOUND: ReadResult = { kind: 'found', value: SecretValue.fromText('x'), version: '1' };

/** A provider with scripted results for each key. The last result repeats. */
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

const keysOf = (count: number) => Array.from({ length: count }, (_, index) => ({ key: `k${index}` }));

function failed(code: ErrorCode, retryAfterMs?: number): ReadResult {
  return { kind: 'failed', error: new AppError(code, retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

function retrying(script: Parameters<typeof scripted>[0], random = 0.5) {
  const time = createManualTime();
  const waits: number[] = [];
  const { provider, calls } = scripted(script);
  const sleep = async (ms: number) => {
    waits.push(ms);
    time.set(time.now() + ms);
  };
  return {
    provider: withRetry(provider, { clock: time, sleep, random: () => random }),
    calls,
    waits,
    time,
  };
}

describe('withRetry', () => {
  it('retries transient errors only', async () => {
    const { provider, calls } = retrying({
      fine: [FOUND],
      slow: [failed('TIMEOUT'), failed('STORE_UNAVAILABLE'), FOUND],
      denied: [failed('ACCESS_DENIED'), FOUND],
    });
    const results = await provider.read(['slow', 'fine', 'denied', 'gone'].map((key) => ({ key })));
    expect(results.map(({ kind }) => kind)).toEqual(['found', 'found', 'failed', 'absent']);
    expect(calls).toEqual([['slow', 'fine', 'denied', 'gone'], ['slow'], ['slow']]);
  });

  it('stops after three attempts, with the last error', async () => {
    const { provider, calls } = retrying({
      a: [failed('TIMEOUT'), failed('TIMEOUT'), failed('STORE_UNAVAILABLE'), FOUND],
    });
    const [result] = await provider.read([{ key: 'a' }]);
    expect(result).toMatchObject({ kind: 'failed', error: { code: 'STORE_UNAVAILABLE' } });
    expect(calls).toHaveLength(3);
  });

  it('doubles its waits, each with full jitter', async () => {
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

  it('waits as long as the store requests', async () => {
    const { provider, waits } = retrying({
      a: [failed('THROTTLED', 3_000), FOUND],
      b: [failed('TIMEOUT'), FOUND],
    });
    const results = await provider.read([{ key: 'a' }, { key: 'b' }]);
    expect(results).toEqual([FOUND, FOUND]);
    expect(waits).toEqual([3_000]);
  });

  it('stops at once if the store requests a wait of more than a few seconds', async () => {
    const { provider, waits, calls } = retrying({ a: [failed('THROTTLED', 60_000), FOUND] });
    await provider.read([{ key: 'a' }]);
    expect([waits, calls]).toEqual([[], [['a']]]);
  });

  it('stops after slow attempts', async () => {
    const time = createManualTime();
    const { provider, calls } = scripted({ a: [failed('TIMEOUT')] });
    const slow: SecretProvider = {
      ...provider,
      async read(refs) {
        time.set(time.now() + 15_000);
        return provider.read(refs);
      },
    };
    await withRetry(slow, { clock: time, sleep: async () => undefined }).read([{ key: 'a' }]);
    expect(calls).toHaveLength(2);
  });

  it('retries only three keys while the store keeps failing', async () => {
    const script = Object.fromEntries(keysOf(100).map(({ key }) => [key, [failed('THROTTLED')]]));
    const { provider, calls } = retrying(script);
    const results = await provider.read(keysOf(100));
    expect(results.every(({ kind }) => kind === 'failed')).toBe(true);
    expect(calls.map((keys) => keys.length)).toEqual([100, 3, 3]);
  });

  it('retries all other keys once the store answers for one of the three', async () => {
    const script = Object.fromEntries(keysOf(100).map(({ key }) => [key, [failed('THROTTLED'), FOUND]]));
    const { provider, calls } = retrying({ ...script, k0: [failed('THROTTLED')] });
    const results = await provider.read(keysOf(100));
    expect(results.filter(({ kind }) => kind === 'found')).toHaveLength(99);
    expect(calls.map((keys) => keys.length)).toEqual([100, 3, 97, 1]);
  });

  it('repeats a search as a whole', async () => {
    const { provider } = retrying({ a: [failed('TIMEOUT'), FOUND], b: [failed('ACCESS_DENIED'), FOUND] });
    expect(await provider.find({ path: 'a', tags: {} })).toEqual(['a']);
    await expect(provider.find({ path: 'b', tags: {} })).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
  });

  it('ends its wait with the abort reason of the caller', async () => {
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

  it('does not retry if retries are not allowed', async () => {
    const time = createManualTime();
    const { provider, calls } = scripted({ a: [failed('TIMEOUT')] });
    await withRetry(provider, { clock: time, mayRetry: () => false }).read([{ key: 'a' }]);
    expect(calls).toEqual([['a']]);
  });
});
