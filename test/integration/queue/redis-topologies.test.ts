import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeQueue, eventually, job, recordingProcess } from '../../conformance/queue.ts';
import { healthText, newInstance, openQueue } from './harness.ts';
import { type RedisTopology, startCluster, startSentinels } from './redis-topologies.ts';

describe('a Redis with sentinels', () => {
  it('is found through its sentinels, and is used again after a failover', async () => {
    await using topology = await startSentinels('main');
    const [master] = topology.servers;
    await using queue = await openQueue('redis://ignored', {
      sentinel: { name: 'main', addresses: topology.sentinels },
    });
    const { process, subjects } = recordingProcess();
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

  it('is used again by every connection after a failover, even while one sentinel hangs', async () => {
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
        await queue.add(job(name));
        queue.broadcast.publish('a', name);
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

  it('is reported as down when no sentinel answers', async () => {
    await using queue = await openQueue('redis://ignored', {
      sentinel: { name: 'main', addresses: ['127.0.0.1:1', '127.0.0.1:2'] },
    });
    queue.start(async () => undefined);
    await eventually(() => healthText(queue).startsWith('down: no sentinel answers'));
    await expect(queue.add(job('a'))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  });
});

/** Ends the subscriber connections on every node of the cluster. */
async function cutSubscribers({ servers }: RedisTopology): Promise<void> {
  await Promise.all(servers.map((server) => server.command('CLIENT', 'KILL', 'TYPE', 'pubsub')));
}

/** Counts the connections whose subscription was rejected. */
async function countRejectedSubscribers({ servers }: RedisTopology): Promise<number> {
  const lists = await Promise.all(servers.map((server) => server.command('CLIENT', 'LIST')));
  return lists
    .join('\n')
    .split('\n')
    .filter((line) => / sub=0 .*cmd=subscribe /.test(line)).length;
}

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

describe('broadcasts on a Redis Cluster', () => {
  async function openTwo() {
    const instance = newInstance();
    const url = cluster.servers[0]?.address ?? '';
    const one = await openQueue(url, { instance, cluster: true });
    const other = await openQueue(url, { instance, cluster: true });
    for (const queue of [one, other]) await eventually(() => queue.health().state === 'up');
    const received = new Map<string, string | undefined>();
    one.broadcast.subscribe((field, text) => void received.set(field, text));
    other.broadcast.publish('first', '1');
    await eventually(() => received.get('first') === '1');
    return { one, other, received, key: `{secretbridge:${instance}}:notices` };
  }

  it('arrive together with the next one when they were missed during a reconnect', async () => {
    const { one, other, received, key } = await openTwo();
    await using _ = one;
    await using __ = other;
    // Stores a broadcast and its number without publishing it, as if no connection had listened at that time.
    const script =
      "redis.call('HSET', KEYS[1], 'missed', '\"2\"') redis.call('HINCRBY', KEYS[1], '#', 1) return 1";
    const answers = await Promise.all(
      cluster.servers.map((server) => server.command('EVAL', script, '1', key)),
    );
    expect(answers.filter((answer) => answer.startsWith(':1'))).toHaveLength(1);
    other.broadcast.publish('next', '3');
    await eventually(() => received.get('next') === '3' && received.get('missed') === '2');
  });

  it('arrive again after a new connection was not allowed to subscribe at first', async () => {
    const { one, other, received } = await openTwo();
    await using _ = one;
    await using __ = other;
    const setRuleOnAll = (rule: string) =>
      Promise.all(cluster.servers.map((server) => server.command('ACL', 'SETUSER', 'default', rule)));
    await setRuleOnAll('resetchannels');
    try {
      await cutSubscribers(cluster);
      other.broadcast.publish('missed', '2');
    } finally {
      await eventually(async () => (await countRejectedSubscribers(cluster)) === 2);
      await setRuleOnAll('allchannels');
    }
    one.broadcast.publish('own', '3');
    await eventually(() => received.get('missed') === '2', 20_000);
    other.broadcast.publish('later', '4');
    await eventually(() => received.get('later') === '4');
  });
});
