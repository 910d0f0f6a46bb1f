import { expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { ReadResult } from '../../src/core/read-result.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { SecretProvider } from '../../src/providers/provider.ts';
import { withQuarantine } from '../../src/providers/quarantine.ts';

const FOUND: ReadResult = { kind: 'found', value: SecretValue.fromText('x'), version: '1' };
const HUNG: ReadResult = { kind: 'failed', error: new AppError('TIMEOUT') };

/** A provider whose calls stay open until the test ends them. */
function staged() {
  const calls: { keys: string[]; end: (result: ReadResult) => void; fail: (error: Error) => void }[] = [];
  const inner: SecretProvider = {
    read(refs) {
      const { promise, resolve, reject } = Promise.withResolvers<readonly ReadResult[]>();
      const end = (result: ReadResult) => resolve(refs.map(() => result));
      calls.push({ keys: refs.map(({ key }) => key), end, fail: reject });
      return promise;
    },
    versions: async () => [],
    find: async () => [],
    check: async () => [],
    probe: async () => undefined,
    async [Symbol.asyncDispose]() {},
  };
  const provider = withQuarantine('a', inner);
  return {
    calls,
    read: async (...keys: readonly string[]) => {
      const results = await provider.read(keys.map((key) => ({ key })));
      return results.map((result) => (result.kind === 'failed' ? result.error.code : result.kind));
    },
    readWith: (key: string, signal: AbortSignal) => provider.read([{ key }], { signal }),
    settled: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

it('reads many keys in one call, in order', async () => {
  const { calls, read } = staged();
  const reading = read('a', 'b', 'c');
  calls[0]?.end(FOUND);
  expect(await reading).toEqual(['found', 'found', 'found']);
  expect(calls.map(({ keys }) => keys)).toEqual([['a', 'b', 'c']]);
});

it('lets two callers read the same key at a time, and the waiting callers after them, each separately', async () => {
  const { calls, read, settled } = staged();
  const all = Promise.all([1, 2, 3, 4].map(() => read('k')));
  await settled();
  expect(calls).toHaveLength(2);
  calls[0]?.end(FOUND);
  await settled();
  expect(calls).toHaveLength(3);
  for (const call of calls) call.end(FOUND);
  await settled();
  calls[3]?.end(FOUND);
  expect((await all).flat()).toEqual(['found', 'found', 'found', 'found']);
  expect(calls).toHaveLength(4);
});

it('rejects waiting callers as soon as the read before them times out', async () => {
  const { calls, read, settled } = staged();
  const all = [1, 2, 3, 4].map(() => read('k'));
  calls[0]?.end(HUNG);
  expect(await Promise.all([all[0], all[2], all[3]])).toEqual([['TIMEOUT'], ['TIMEOUT'], ['TIMEOUT']]);
  calls[1]?.end(FOUND);
  await all[1];
  const [next, another] = [read('k'), read('k')];
  await settled();
  expect(calls).toHaveLength(4);
  for (const call of calls) call.end(FOUND);
  expect(await Promise.all([next, another])).toEqual([['found'], ['found']]);
});

it('lets one caller at a time read a hanging key, and does not block other keys', async () => {
  const { calls, read, settled } = staged();
  const first = read('k');
  calls[0]?.end(HUNG);
  await first;
  const second = read('k');
  const mixed = read('k', 'other');
  await settled();
  expect(calls.slice(1).map(({ keys }) => keys)).toEqual([['k'], ['other']]);
  calls[2]?.end(FOUND);
  expect(await mixed).toEqual(['TIMEOUT', 'found']);
  calls[1]?.end(HUNG);
  expect(await second).toEqual(['TIMEOUT']);
});

it('does not restrict callers after an aborted call', async () => {
  const { calls, read, settled } = staged();
  const first = read('k');
  calls[0]?.fail(new Error('enough'));
  await expect(first).rejects.toThrow('enough');
  const both = Promise.all([read('k'), read('k')]);
  await settled();
  expect(calls).toHaveLength(3);
  for (const call of calls) call.end(FOUND);
  await both;
});

it('lets a waiting caller abort', async () => {
  const { calls, read, readWith } = staged();
  const both = Promise.all([read('k'), read('k')]);
  const giveUp = new AbortController();
  const third = expect(readWith('k', giveUp.signal)).rejects.toThrow('enough');
  giveUp.abort(new Error('enough'));
  await third;
  for (const call of calls) call.end(FOUND);
  await both;
  expect(calls).toHaveLength(2);
});
