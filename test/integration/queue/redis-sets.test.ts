import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeQueue, eventually, job, notes } from '../../conformance/queue.ts';
import { openQueue, ownInstance, shown } from './harness.ts';
import { type RedisSet, startCluster, startSentinels } from './redis-sets.ts';

describe('a Redis with sentinels', () => {
  it('is found through them, and used again after a failover', async () => {
    await using set = await startSentinels('main');
    const [master] = set.servers;
    await using queue = await openQueue('redis://ignored', {
      sentinel: { name: 'main', addresses: set.sentinels },
    });
    const { process, subjects } = notes();
    queue.start(process);
    await eventually(() => queue.health().state === 'up');
    await queue.add(job('a'));
    await eventually(() => subjects().length === 1);
    await master?.kill();
    await eventually(() => queue.health().state === 'down');
    await eventually(() => queue.health().state === 'up', 30_000);
    await queue.add(job('b'));
    await eventually(() => subjects().includes('b'));
  });

  it('is said to be away when no sentinel answers', async () => {
    await using queue = await openQueue('redis://ignored', {
      sentinel: { name: 'main', addresses: ['127.0.0.1:1', '127.0.0.1:2'] },
    });
    queue.start(async () => undefined);
    await eventually(() => shown(queue).startsWith('down: no sentinel answers'));
    await expect(queue.add(job('a'))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  });
});

let cluster: RedisSet;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster[Symbol.asyncDispose]());

describeQueue('the queue on a Redis Cluster', async () => {
  const instance = ownInstance();
  return {
    shared: true,
    async open({ concurrency = 4 } = {}) {
      const [first] = cluster.servers;
      const queue = await openQueue(first?.address ?? '', { instance, concurrency, cluster: true });
      await eventually(() => queue.health().state === 'up');
      return queue;
    },
    [Symbol.asyncDispose]: async () => {},
  };
});
