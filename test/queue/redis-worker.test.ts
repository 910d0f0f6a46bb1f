import type { Job as BullJob, Worker as BullWorker } from 'bullmq';
import { expect, it } from 'vitest';
import type { PendingTrigger } from '../../src/queue/pending-trigger.ts';
import type { Job } from '../../src/queue/queue.ts';
import type { RedisClients } from '../../src/queue/redis/clients.ts';
import { startWorker } from '../../src/queue/redis/worker.ts';
import { createManualTime } from '../fakes/manual-time.ts';

type Work = (job: BullJob) => Promise<void>;

/** Runs the worker on a fake BullMQ that delivers the jobs of a test. */
function open({ trigger }: { readonly trigger?: PendingTrigger } = {}) {
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
    clients: { blocking: () => ({}) } as unknown as RedisClients,
    ...{ name: 'jobs', names: '{test}', concurrency: 1, timers: time, signal: ending.signal },
    triggers: {
      take: async () => trigger,
      record: nothing,
      markQueued: nothing,
      cancel: nothing,
      settleOnce: nothing,
    },
    add: nothing,
    onError: (thrown) => expect.fail(String(thrown)),
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

it('runs a job with a reason that only a newer release defines', async () => {
  const { work, done } = open();
  await (await work)(bullJob(job('unheard-of', 'r')));
  expect(done).toEqual([job('sweep', 'r')]);
});

it('ignores a job of another format', async () => {
  const { work, done } = open();
  for (const data of [job('sweep', 'r'), { subject: 'a' }, { reason: 1, subject: 'a', requestId: 'r' }, {}])
    await (await work)(bullJob(data));
  expect(done).toEqual([job('sweep', 'r')]);
});

it('starts a run even if Redis does not confirm the update of the job data', async () => {
  const manualJob = { subject: 'a', reason: 'manual', requestId: 'asked' } as const;
  const { work, done, time } = open({ trigger: { job: manualJob, dueAt: 0 } });
  const started = Promise.withResolvers<void>();
  const ended = (await work)(
    bullJob(job('sweep', 'r'), () => {
      started.resolve();
      return new Promise(() => {});
    }),
  );
  await started.promise;
  expect(done).toEqual([]);
  await time.advance(2_000);
  await ended;
  expect(done).toEqual([manualJob]);
});
