import { expect, it } from 'vitest';
import { createCoalescer, createSharedRun } from '../../src/core/serial-executor.ts';

it('a coalescer starts one more run for all calls that arrive during a first run, even if the first run fails', async () => {
  const first = Promise.withResolvers<number>();
  let runs = 0;
  const run = createCoalescer(async () => {
    runs += 1;
    return runs === 1 ? first.promise : runs;
  });
  const running = run();
  await Promise.resolve();
  const later = [run(), run()];
  expect(runs).toBe(1);
  first.reject(new Error('of the first'));
  await expect(running).rejects.toThrow('of the first');
  expect(await Promise.all(later)).toEqual([2, 2]);
  expect(await run()).toBe(3);
});

it('a shared run serves all calls until it ends, and starts again after a failure', async () => {
  const first = Promise.withResolvers<number>();
  let runs = 0;
  const run = createSharedRun(async () => {
    runs += 1;
    return runs === 1 ? first.promise : runs;
  });
  const callers = [run(), run()];
  first.reject(new Error('of the first'));
  for (const caller of callers) await expect(caller).rejects.toThrow('of the first');
  expect(await run()).toBe(2);
});
