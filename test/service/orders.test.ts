import { expect, it } from 'vitest';
import type { Job, Process } from '../../src/queue/queue.ts';
import { Orders } from '../../src/service/orders.ts';
import { startJobs } from '../../src/service/runs/start-jobs.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { APPS_DB } from '../reconcile/world.ts';
import { openResync, queueAway, settled } from './sample.ts';

const order: Job = { subject: 'target/apps/db', reason: 'manual', requestId: 'asked' };

function open() {
  const { queue, clock, triggers } = openResync([]);
  const orders = new Orders({ triggers, clock });
  return { queue, clock, orders, added: () => queue.jobs.map(({ job }) => job) };
}

it('the order to sync a target is queued again each time the target has run for another request, until the order has a result', async () => {
  const { orders, added } = open();
  await orders.place(APPS_DB, 'asked');
  orders.noteRun(APPS_DB, 'another');
  orders.noteRun({ ...APPS_DB, secret: 'other' }, 'another');
  expect(added()).toEqual([order, order]);
  orders.noteRun(APPS_DB, 'asked~1');
  orders.noteRun(APPS_DB, 'another');
  expect(added()).toHaveLength(2);
});

it('the order to sync a target is forgotten if the queue refuses the order, or after ten minutes', async () => {
  const { queue, clock, orders, added } = open();
  queue.failure = queueAway();
  await expect(orders.place(APPS_DB, 'asked')).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  queue.failure = undefined;
  orders.noteRun(APPS_DB, 'another');
  expect(added()).toEqual([]);
  await orders.place(APPS_DB, 'asked');
  clock.time += 600_001;
  orders.noteRun(APPS_DB, 'another');
  expect(added()).toEqual([order]);
});

it('the wake-up for a delayed run is added before the job ends, and the job waits while the queue is down', async () => {
  const { queue } = open();
  const time = createManualTime();
  let work: Process | undefined;
  const start = (process: Process): void => {
    work = process;
  };
  const add = queue.add.bind(queue);
  startJobs({ kind: 'redis', start, add }, async (_, { aborted }) => (aborted ? 0 : 500), time);
  queue.failure = queueAway();
  let ended = false;
  void work?.(order, new AbortController().signal).then(() => {
    ended = true;
  });
  await settled();
  expect(ended).toBe(false);
  queue.failure = undefined;
  await time.advance(1_000);
  await settled();
  expect(ended).toBe(true);
  expect(queue.jobs).toEqual([{ job: order, options: { delayMs: 500 } }]);
  // A job that did not begin because the queue stopped is added again, once, for another process.
  await work?.(order, AbortSignal.abort());
  expect(queue.jobs.slice(1)).toEqual([{ job: order, options: { delayMs: 0 } }]);
  queue.failure = queueAway();
  await work?.(order, AbortSignal.abort());
  expect(queue.attempts).toBe(4);
});
