import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SecretValue } from '../../../src/core/secret-value.ts';
import { describeQueue, eventually, job, recordingProcess } from '../../conformance/queue.ts';
import { healthText, newInstance, openQueue } from './harness.ts';
import {
  addressAt,
  createSecurity,
  type RedisTopology,
  startCluster,
  startSentinels,
} from './redis-topologies.ts';

/** Starts the queue and waits until it has run the job `a`. Returns a function that returns the jobs that were run. */
async function runFirstJob(queue: Awaited<ReturnType<typeof openQueue>>) {
  const { process, subjects } = recordingProcess();
  queue.start(process);
  await eventually(() => queue.health().state === 'up');
  await queue.add([job('a')]);
  await eventually(() => subjects().length === 1);
  return subjects;
}

describe('a Redis with sentinels', () => {
  it.each([
    ['without TLS', async () => undefined],
    ['over TLS with passwords', createSecurity],
  ])('finds the Redis through its sentinels, and uses it again after a failover (%s)', async (_, create) => {
    await using security = await create();
    await using topology = await startSentinels('main', security);
    const [master] = topology.servers;
    const [url, address] = addressAt('ignored', security);
    const password = security && { password: SecretValue.fromText(security.password) };
    await using queue = await openQueue(url, {
      ...address,
      sentinel: { name: 'main', addresses: topology.sentinels, ...password },
    });
    const subjects = await runFirstJob(queue);
    await master?.kill();
    await eventually(() => queue.health().state === 'down');
    await eventually(() => queue.health().state === 'up', 30_000);
    await queue.add([job('b')]);
    await eventually(() => subjects().includes('b'));
  });

  it('every connection uses the Redis again after a failover, even while one sentinel hangs', async () => {
    await using topology = await startSentinels('main');
    const [master, , hung] = topology.servers;
    if (hung === undefined) throw new Error('no sentinel was started');
    await using stack = new AsyncDisposableStack();
    const open = async () => {
      const sentinel = { name: 'main', addresses: topology.sentinels };
      const queue = stack.use(await openQueue('redis://ignored', { instance: newInstance(), sentinel }));
      const { process, subjects } = recordingProcess();
      queue.start(process);
      const received: string[] = [];
      queue.broadcast.subscribe((_, text) => void received.push(text ?? ''));
      return { queue, subjects, received };
    };
    const clients = await Promise.all(Array.from({ length: 6 }, open));
    const work = async (name: string): Promise<void> => {
      for (const { queue, subjects, received } of clients) {
        await eventually(() => queue.health().state === 'up', 40_000);
        await queue.add([job(name)]);
        queue.broadcast.send('a', name);
        await eventually(() => subjects().includes(name) && received.includes(name), 40_000);
      }
    };
    await work('before');
    // Simulates the loss of the machine that runs the master and this sentinel. A client that tries this sentinel first
    // has to wait.
    process.kill(hung.pid, 'SIGSTOP');
    try {
      await master?.kill();
      await eventually(() => clients.every(({ queue }) => queue.health().state === 'down'));
      await work('after');
    } finally {
      process.kill(hung.pid, 'SIGCONT');
    }
  });

  it('reports the Redis as down when no sentinel answers', async () => {
    await using queue = await openQueue('redis://ignored', {
      sentinel: { name: 'main', addresses: ['127.0.0.1:1', '127.0.0.1:2'] },
    });
    queue.start(async () => undefined);
    await eventually(() => healthText(queue).startsWith('down: no sentinel answers'));
    await expect(queue.add([job('a')])).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  });
});

it('uses a Redis Cluster again after a failover (over TLS with passwords)', async () => {
  await using security = await createSecurity();
  await using topology = await startCluster(security);
  const [first] = topology.servers;
  const [url, address] = addressAt(`127.0.0.1:${first?.port}`, security);
  // All keys of an instance are in one hash slot, on one of the three masters.
  const instance = newInstance();
  const answer = (await first?.command('CLUSTER', 'KEYSLOT', `{secretbridge:${instance}}`)) ?? '';
  const master = topology.servers[Math.floor(Number(answer.slice(1)) / Math.ceil(16_384 / 3))];
  await using queue = await openQueue(url, { ...address, instance, cluster: true });
  const subjects = await runFirstJob(queue);
  await master?.kill();
  // Until the failover, the queue may reject jobs.
  const add = () =>
    queue.add([job('b')]).then(
      () => true,
      () => false,
    );
  await eventually(add, 40_000);
  await eventually(() => subjects().includes('b'), 40_000);
});

let cluster: RedisTopology;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster[Symbol.asyncDispose]());

describeQueue('the queue on a Redis Cluster', async () => {
  const instance = newInstance();
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
