import { expect, it } from 'vitest';
import { createOneAtATime } from '../../src/service/turns.ts';

it('what is asked for while it runs is done once more, also where that run fails', async () => {
  const first = Promise.withResolvers<void>();
  const errors: unknown[] = [];
  let runs = 0;
  const run = createOneAtATime(
    async () => {
      runs += 1;
      if (runs === 1) await first.promise;
    },
    (error) => void errors.push(error),
  );
  const running = run();
  await run();
  await run();
  const error = new Error('of the first');
  first.reject(error);
  await running;
  expect([runs, errors]).toEqual([2, [error]]);
  await run();
  expect(runs).toBe(3);
});
