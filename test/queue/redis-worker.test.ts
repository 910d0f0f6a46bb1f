import type { Job as BullJob, Worker as BullWorker } from 'bullmq';
import { expect, it } from 'vitest';
import type { Wish } from '../../src/queue/order.ts';
import type { Job } from '../../src/queue/queue.ts';
import type { RedisClients } from '../../src/queue/redis/clients.ts';
import { startWorker } from '../../src/queue/redis/worker.ts';
import { createManualTime } from '../fakes/manual-time.ts';

type Work = (job: BullJob) => Promise<void>;

/** The worker over a BullMQ that hands it what a test says. */
function open({ wish }: { readonly wish?: Wish } = {}) {
  const handed = Promise.withResolvers<Work>();
  const Worker = class {
    readonly lockManager = { close: async () => undefined };
    constructor(_: string, work: Work) {
      handed.resolve(work);
    }
    on(): void {}
    async waitUntilReady(): Promise<void> {}
    run = () => new Promise<void>(() => {});
    async close(): Promise<void> {}
  };
  const time = createManualTime();
  const done: Job[] = [];
  const ending = new AbortController();
  const nothing = async (): Promise<undefined> => undefined;
  const worker = startWorker({
    Worker: Worker as unknown as typeof BullWorker,
    clients: { patient: () => ({}) } as unknown as RedisClients,
    ...{ name: 'jobs', names: '{test}', concurrency: 1, timers: time, signal: ending.signal },
    wishes: {
      take: async () => wish,
      ask: nothing,
      peek: nothing,
      forget: nothing,
      settleOnce: nothing,
    },
    add: nothing,
    onTrouble: (thrown) => expect.fail(String(thrown)),
    async process(job) {
      done.push(job);
      return undefined;
    },
  });
  return { worker, time, done, work: handed.promise };
}

const job = (reason: string, requestId: string) => ({ subject: 'a', reason, requestId });
const bullJob = (data: object, updateData: () => Promise<void> = async () => undefined) =>
  ({ data, stalledCounter: 0, updateData }) as unknown as BullJob;

it('works off what only a newer release has a reason for', async () => {
  const { work, done } = open();
  await (await work)(bullJob(job('unheard-of', 'r')));
  expect(done).toEqual([job('sweep', 'r')]);
});

it('lets be what is nothing of ours', async () => {
  const { work, done } = open();
  for (const data of [job('sweep', 'r'), { subject: 'a' }, { reason: 1, subject: 'a', requestId: 'r' }, {}])
    await (await work)(bullJob(data));
  expect(done).toEqual([job('sweep', 'r')]);
});

it('begins also while Redis does not take down for whom', async () => {
  const asked = { subject: 'a', reason: 'manual', requestId: 'asked' } as const;
  const { work, done, time } = open({ wish: { job: asked, due: 0 } });
  const begun = Promise.withResolvers<void>();
  const ended = (await work)(
    bullJob(job('sweep', 'r'), () => {
      begun.resolve();
      return new Promise(() => {});
    }),
  );
  await begun.promise;
  expect(done).toEqual([]);
  await time.advance(2_000);
  await ended;
  expect(done).toEqual([asked]);
});
