import { Queue as BullQueue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, job, recordingProcess } from '../../conformance/queue.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { newInstance, openQueue } from './harness.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

/**
 * Adds the data that an earlier version left in Redis: one delayed job for each subject, and separate keys with the
 * reason and the due time.
 */
async function leaveOldJobs(instance: string) {
  const prefix = `{secretbridge:${instance}}`;
  const redis = new Redis(server.address);
  const old = new BullQueue('jobs', { connection: redis, prefix });
  const add = (subject: string, data: object, delay: number) =>
    old.add('run', data, {
      ...{ delay, priority: 5, attempts: 1, stackTraceLimit: 0, removeOnComplete: true },
      removeOnFail: { count: 20 },
      deduplication: { id: subject, keepLastIfActive: true },
    });
  await add('soon', job('soon', 'sweep', 'old'), 300);
  await add('late', job('late', 'sweep', 'old'), 600_000);
  await add('foreign', { version: 1 }, 0);
  await add('unknown', { ...job('unknown'), reason: 'urgent' }, 0);
  await redis.set(`${prefix}:wish:late`, `1 ${Date.now()} older`, 'PX', 60_000);
  await redis.set(`${prefix}:asked:late`, `0 ${Date.now()} oldest`, 'PX', 60_000);
  await redis.set(`${prefix}:once:sweep/vault/1/0/1:7`, '1', 'PX', 60_000);
  await redis.hset(`${prefix}:notices`, '#', 2, 't/app/apps/db', '"{}"');
  await redis.set(`${prefix}:epoch`, 'an-epoch');
  await old.close();
  redis.disconnect();
}

it('runs the jobs that an earlier version of the program left in Redis, and ignores all other keys of that earlier version', async () => {
  const instance = newInstance();
  await leaveOldJobs(instance);
  await using queue = await openQueue(server.address, { instance });
  await eventually(() => queue.health().state === 'up');
  const messages: unknown[] = [];
  queue.broadcast.subscribe((...message) => void messages.push(message));
  // If a caller adds a job that an earlier version of the program has delayed, the job starts without the delay.
  await queue.add([job('late', 'event', 'new')]);
  const { seen, process, subjects } = recordingProcess();
  queue.start(process);
  await eventually(() => subjects().includes('soon'));
  await queue.idle();
  expect(seen.toSorted((a, b) => (a.subject < b.subject ? -1 : 1))).toEqual([
    job('late', 'event', 'new'),
    job('soon', 'sweep', 'old'),
    job('unknown', 'sweep'),
  ]);
  expect(messages).toEqual([]);
  await queue.add([job('late', 'sweep', 'again')]);
  await eventually(() => seen.length === 4);
});
