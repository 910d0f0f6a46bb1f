import { afterAll, beforeAll } from 'vitest';
import type { Queue } from '../../../src/queue/queue.ts';
import { describeQueue, eventually } from '../../conformance/queue.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { newInstance, openQueue } from './harness.ts';

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
