import { expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { Job } from '../../src/queue/queue.ts';
import { demoteManualRetries } from '../../src/service/runs/manual-retries.ts';
import { APPS_DB } from '../reconcile/world.ts';

const job = (reason: Job['reason']): Job => ({ subject: 'target/apps/db', reason, requestId: 'r' });

/** Returns the result of the run and the jobs that were added to the queue. */
async function run(
  reason: Job['reason'],
  wait: number | undefined,
  { away, signal = new AbortController().signal }: { away?: Error; signal?: AbortSignal } = {},
) {
  const added: unknown[] = [];
  const add = async (...args: readonly unknown[]) => {
    if (away !== undefined) throw away;
    added.push(args);
  };
  const work = demoteManualRetries(async () => wait, { add });
  return { wait: await work(APPS_DB, job(reason), { signal, wrap: (context) => context }), added };
}

it('a failed manual request is retried with the reason `sweep`', async () => {
  expect(await run('manual', 500)).toEqual({
    wait: undefined,
    added: [[[job('sweep')], { delayMs: 500 }]],
  });
});

it('automatic jobs and completed requests stay unchanged', async () => {
  expect(await run('event', 500)).toEqual({ wait: 500, added: [] });
  expect(await run('manual', undefined)).toEqual({ wait: undefined, added: [] });
});

it('a manual job keeps the reason `manual` if the run did not start', async () => {
  expect(await run('manual', 0, { signal: AbortSignal.abort() })).toEqual({ wait: 0, added: [] });
});

it('the retry of a manual request is not lost while the queue is down', async () => {
  expect(await run('manual', 500, { away: new AppError('QUEUE_UNAVAILABLE') })).toMatchObject({ wait: 500 });
  await expect(run('manual', 500, { away: new TypeError('an internal error') })).rejects.toThrow();
});
