import { afterAll, beforeAll, expect, it } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import type { Queue } from '../../../src/queue/queue.ts';
import { describeQueue, eventually, job, recordingProcess } from '../../conformance/queue.ts';
import { findLeaks, textMarker } from '../../leak-search.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { newInstance, openQueue, recordRedis } from './harness.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

describeQueue('the queue on Redis', async () => {
  const instance = newInstance();
  return {
    shared: true,
    async open({ concurrency = 4 } = {}): Promise<Queue> {
      const queue = await openQueue(server.address, { instance, concurrency });
      await eventually(() => queue.health().state === 'up');
      return queue;
    },
    [Symbol.asyncDispose]: async () => {},
  };
});

it('stores no text of thrown errors in Redis, and removes finished jobs', async () => {
  await using other = await startRedis();
  using contents = await recordRedis(other);
  await using queue = await openQueue(other.address);
  const marker = textMarker('thrown');
  const text = marker.bytes.toString('utf8');
  const { seen, process } = recordingProcess(async ({ subject }) => {
    if (subject === 'plain') throw new Error(`it said ${text}`);
    if (subject === 'ours') throw new AppError('STORE_UNAVAILABLE', { cause: new Error(text) });
    // A thrown value need not be an error.
    // oxlint-disable-next-line typescript/only-throw-error
    if (subject === 'bare') throw text;
    return undefined;
  });
  await eventually(() => queue.health().state === 'up');
  queue.start(process);
  const subjects = ['plain', 'ours', 'bare', ...Array.from({ length: 200 }, (_, index) => `t${index}`)];
  for (const subject of subjects) await queue.add([job(subject)]);
  await eventually(() => seen.length === subjects.length);
  await queue.idle();

  const failed = await other.command('ZRANGE', '{secretbridge:test}:jobs:failed', '0', '0');
  const [, , failedId] = failed.split('\r\n');
  const fields = await other.command('HGETALL', `{secretbridge:test}:jobs:${failedId}`);
  expect(fields).toMatch(/STORE_UNAVAILABLE|INTERNAL/);
  const { names, text: written } = await contents.read();
  expect(written).toContain('STORE_UNAVAILABLE');
  const streams = await other.command('XRANGE', '{secretbridge:test}:jobs:events', '-', '+');
  expect(findLeaks([{ name: 'Redis', bytes: written + fields + streams }], [marker])).toEqual([]);
  expect(names.filter((name) => !name.startsWith('{secretbridge:test}:'))).toEqual([]);
  // There are few keys, because the queue keeps only a few failed jobs.
  expect(names.length).toBeLessThan(15);
});
