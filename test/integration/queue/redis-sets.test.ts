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

  it('is used again by every connection after a failover while a sentinel hangs', async () => {
    await using set = await startSentinels('main');
    const [master, , hung] = set.servers;
    if (hung === undefined) throw new Error('there is no sentinel');
    await using stack = new AsyncDisposableStack();
    const open = async () => {
      const sentinel = { name: 'main', addresses: set.sentinels };
      const queue = stack.use(await openQueue('redis://ignored', { instance: ownInstance(), sentinel }));
      const { process, subjects } = notes();
      queue.start(process);
      const heard: string[] = [];
      queue.broadcast.subscribe((_, text) => void heard.push(text ?? ''));
      return { queue, subjects, heard };
    };
    const all = await Promise.all(Array.from({ length: 6 }, open));
    const work = async (name: string): Promise<void> => {
      for (const { queue, subjects, heard } of all) {
        await eventually(() => queue.health().state === 'up', 40_000);
        await queue.add(job(name));
        queue.broadcast.publish('a', name);
        await eventually(() => subjects().includes(name) && heard.includes(name), 40_000);
      }
    };
    await work('before');
    // As the machine on which the master is too, and which is lost: whoever asks it first waits.
    process.kill(hung.pid, 'SIGSTOP');
    try {
      await master?.kill();
      await eventually(() => all.every(({ queue }) => queue.health().state === 'down'));
      await work('after');
    } finally {
      process.kill(hung.pid, 'SIGCONT');
    }
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

/** Ends the connections that hear notices, at whichever node of the cluster they are. */
async function cutSubscribers({ servers }: RedisSet): Promise<void> {
  await Promise.all(servers.map((it) => it.command('CLIENT', 'KILL', 'TYPE', 'pubsub')));
}

/** Those that asked to hear and were refused. */
async function deafConnections({ servers }: RedisSet): Promise<number> {
  const lists = await Promise.all(servers.map((it) => it.command('CLIENT', 'LIST')));
  return lists
    .join('\n')
    .split('\n')
    .filter((it) => / sub=0 .*cmd=subscribe /.test(it)).length;
}

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

describe('notices on a Redis Cluster', () => {
  async function openTwo() {
    const instance = ownInstance();
    const url = cluster.servers[0]?.address ?? '';
    const one = await openQueue(url, { instance, cluster: true });
    const other = await openQueue(url, { instance, cluster: true });
    for (const queue of [one, other]) await eventually(() => queue.health().state === 'up');
    const heard = new Map<string, string | undefined>();
    one.broadcast.subscribe((field, text) => void heard.set(field, text));
    other.broadcast.publish('first', '1');
    await eventually(() => heard.get('first') === '1');
    return { one, other, heard, key: `{secretbridge:${instance}}:notices` };
  }

  it('that came while the connection that hears them was made anew are known with the next one', async () => {
    const { one, other, heard, key } = await openTwo();
    await using _ = one;
    await using __ = other;
    // As one that was posted while nobody listened: it stands, its number is given, and nobody was told.
    const script =
      "redis.call('HSET', KEYS[1], 'missed', '\"2\"') redis.call('HINCRBY', KEYS[1], '#', 1) return 1";
    const answers = await Promise.all(cluster.servers.map((it) => it.command('EVAL', script, '1', key)));
    expect(answers.filter((it) => it.startsWith(':1'))).toHaveLength(1);
    other.broadcast.publish('next', '3');
    await eventually(() => heard.get('next') === '3' && heard.get('missed') === '2');
  });

  it('are heard again where the new connection was refused to hear them, without another one', async () => {
    const { one, other, heard } = await openTwo();
    await using _ = one;
    await using __ = other;
    const everywhere = (rule: string) =>
      Promise.all(cluster.servers.map((it) => it.command('ACL', 'SETUSER', 'default', rule)));
    await everywhere('resetchannels');
    try {
      await cutSubscribers(cluster);
      other.broadcast.publish('missed', '2');
    } finally {
      await eventually(async () => (await deafConnections(cluster)) === 2);
      await everywhere('allchannels');
    }
    one.broadcast.publish('own', '3');
    await eventually(() => heard.get('missed') === '2', 20_000);
    other.broadcast.publish('later', '4');
    await eventually(() => heard.get('later') === '4');
  });
});
