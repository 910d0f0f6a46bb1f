import { expect, it, vi } from 'vitest';
import { createIntervals } from '../../src/service/intervals.ts';
import { type Logger, silentLogger } from '../../src/telemetry/logger.ts';
import { settled } from './sample.ts';

it('a periodic task does not start while its previous run is still running, and continues after a failure', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  using stack = new DisposableStack();
  stack.defer(() => vi.useRealTimers());
  const failed: unknown[] = [];
  const logger: Logger = { ...silentLogger, error: (_, fields) => void failed.push(fields?.error) };
  const intervals = stack.use(createIntervals({ logger, random: () => 0.5 }));
  const runs: PromiseWithResolvers<void>[] = [];
  intervals.every(1_000, () => {
    const run = Promise.withResolvers<void>();
    runs.push(run);
    return run.promise;
  });
  let short = 0;
  intervals.every(1_000, () => {
    short += 1;
  });
  vi.advanceTimersByTime(3_000);
  expect([runs.length, short]).toEqual([1, 3]);
  const error = new Error('of the first');
  runs[0]?.reject(error);
  await settled();
  vi.advanceTimersByTime(1_000);
  expect([runs.length, short, failed]).toEqual([2, 4, [error]]);
});
