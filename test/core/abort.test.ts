import { expect, it } from 'vitest';
import { unlessStopped } from '../../src/core/abort.ts';

it.each([
  ['abandons work that has written nothing', false],
  ['waits for a write', true],
])('a stop %s', async (_, isWriting) => {
  const stop = new AbortController();
  const work = Promise.withResolvers<string>();
  let onTimer = (): void => undefined;
  const wake = (callback: () => void) => {
    onTimer = callback;
    return () => undefined;
  };
  const result = unlessStopped(work.promise, stop.signal, { isWriting: () => isWriting, wake });
  stop.abort();
  onTimer();
  if (isWriting) work.resolve('written');
  const settled = result.catch((error: unknown) => error);
  expect(await settled).toEqual(isWriting ? 'written' : expect.objectContaining({ code: 'INTERRUPTED' }));
});
