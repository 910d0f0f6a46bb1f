import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { SecretValue } from '../../../src/core/secret-value.ts';
import type { Queue } from '../../../src/queue/queue.ts';
import type { RedisQueueOptions } from '../../../src/queue/redis/bullmq.ts';
import { eventually, job, notes } from '../../conformance/queue.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { freePort } from '../services/free-port.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { healthsOf, openQueue, shown } from './harness.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function start(options: Parameters<typeof startRedis>[0] = {}): Promise<RedisServer> {
  const server = await startRedis(options);
  stops.push(() => server.stop());
  return server;
}

async function open(url: string, options: Partial<RedisQueueOptions> = {}): Promise<Queue> {
  const queue = await openQueue(url, options);
  stops.push(() => queue.close(1_000));
  return queue;
}

/** The rights that `docs` tells people to give. */
const RIGHTS = [
  '~{secretbridge:test}:*',
  '&{secretbridge:test}:*',
  '+@all',
  '-@admin',
  '-@dangerous',
  '+info',
];

async function works(queue: Queue): Promise<void> {
  const { seen, process } = notes(async (_, run) => (run === 1 ? 10 : undefined));
  queue.start(process);
  await eventually(() => queue.health().state === 'up');
  await queue.add(job('a'));
  await queue.add(job('b'), { delayMs: 60_000, once: { id: 'x', ttlMs: 1_000 } });
  await queue.add(job('b', 'manual'));
  await eventually(() => seen.length === 3);
  const told: string[] = [];
  queue.broadcast.subscribe((field) => void told.push(field));
  queue.broadcast.publish('a', '1');
  await eventually(() => told.length === 1);
}

describe('a Redis that refuses', () => {
  it.each([
    ['without a password', '', 'Redis requires a user and password, and `engine.url` contains none'],
    ['with a wrong one', ':wr0ng@', 'Redis rejects the user and password of `engine.url`'],
    ['with an unknown user', 'ann:wr0ng@', 'Redis rejects the user and password of `engine.url`'],
  ])('is told from one that is away, %s', async (_, who, detail) => {
    const server = await start({ args: ['--requirepass', 's3cret'] });
    const queue = await open(server.address.replace('//', `//${who}`));
    queue.start(async () => undefined);
    await eventually(() => shown(queue) === `down: ${detail}`);
    await expect(queue.add(job('a'))).rejects.toMatchObject({ detail });
    await queue.close(1_000);
    expect(JSON.stringify(queue.health().error)).not.toContain('wr0ng');
  });

  it.each([
    ['no password', undefined],
    ['a wrong one', SecretValue.fromText('wr0ng')],
  ])('is not found with %s for its sentinels, which is said and stays so', async (_, password) => {
    const master = await start();
    const sentinel = await start({
      sentinel: true,
      config: ['requirepass s3cret', `sentinel monitor main 127.0.0.1 ${master.port} 1`],
    });
    const addresses = [`127.0.0.1:${sentinel.port}`];
    const queue = await open('redis://ignored', { sentinel: { name: 'main', addresses, password } });
    const detail = 'no sentinel accepts `engine.sentinel.password`, or the sentinels require a password that is not set';
    await eventually(() => shown(queue) === `down: ${detail}`);
    const healths = healthsOf(queue);
    await expect(queue.add(job('a'))).rejects.toMatchObject({ code: 'QUEUE_MISCONFIGURED', detail });
    expect(healths).toEqual([`down: ${detail}`]);
  });

  it('is used with user and password, and the rights that it needs', async () => {
    const server = await start({ config: [`user bridge on >p%40ss! ${RIGHTS.join(' ')}`] });
    await works(await open(server.address.replace('//', '//bridge:p%2540ss!@')));
  });

  it('says so when the user lacks rights, and works as soon as it has them', async () => {
    const server = await start({ config: [`user bridge on >pw ~other:* &* +@all`] });
    const queue = await open(server.address.replace('//', '//bridge:pw@'));
    await eventually(() => shown(queue).startsWith('down: Redis does not allow the user'));
    await server.command('ACL', 'SETUSER', 'bridge', 'reset', 'on', '>pw', ...RIGHTS);
    await queue.add(job('a'));
    await eventually(() => queue.health().state === 'up');
  });

  it.each([
    ['without scripts', { config: ['rename-command EVAL ""', 'rename-command EVALSHA ""'] }, undefined],
    ['in which a list of jobs is something else', {}, ['SET', '{secretbridge:test}:jobs:prioritized', 'x']],
  ])(
    'is no queue %s, and says so for as long as that is so',
    { tags: ['long'] },
    async (_, options, command) => {
      const server = await start(options);
      if (command !== undefined) await server.command(...command);
      const queue = await open(server.address);
      const { seen, process } = notes();
      queue.start(process);
      await eventually(() => !shown(queue).includes('not connected yet'));
      const detail = expect.stringContaining('Redis refuses a command that the queue needs');
      await expect(queue.add(job('a'))).rejects.toMatchObject({ detail });
      await eventually(() => shown(queue).startsWith('down: Redis refuses a command that the queue needs'));
      expect(queue.health().error).toMatchObject({ code: 'QUEUE_MISCONFIGURED' });
      if (command === undefined) return;
      await server.command('FLUSHALL');
      await eventually(() => queue.health().state === 'up');
      await queue.add(job('a'));
      await eventually(() => seen.length === 1);
    },
  );

  it('may hold notices that are none: they are passed over, and the next is heard', async () => {
    const server = await start();
    const key = '{secretbridge:test}:notices';
    await server.command('HSET', key, 'a', '{bad', 'b', '"kept"', 'c', '1');
    const queue = await open(server.address);
    const told: string[] = [];
    queue.broadcast.subscribe((field, text) => void told.push(`${field} ${text}`));
    await eventually(() => told.length === 1);
    for (const wrong of ['x', 'null', '[1,"\\"x\\""]', '["d","{bad"]', '{}', '["e"]'])
      await server.command('PUBLISH', key, wrong);
    await server.command('PUBLISH', key, '["f","\\"heard\\""]');
    await eventually(() => told.length === 2);
    expect(told).toEqual(['b kept', 'f heard']);
  });

  it('may take away the right to hear notices: that is said, and they are heard once it is given', {
    tags: ['long'],
  }, async () => {
    const server = await start({ config: [`user bridge on >pw ${RIGHTS.join(' ')}`] });
    const queue = await open(server.address.replace('//', '//bridge:pw@'));
    const told: unknown[] = [];
    queue.broadcast.subscribe((_, text) => void told.push(text));
    const key = '{secretbridge:test}:notices';
    const reaches = async (text: string): Promise<boolean> =>
      (await server.command('PUBLISH', key, `["a","\\"${text}\\""]`)).startsWith(':1');
    await eventually(() => reaches('before'));
    await server.command('ACL', 'SETUSER', 'bridge', 'resetchannels');
    await eventually(() => shown(queue).startsWith('down: Redis does not allow the user'));
    expect(await reaches('meanwhile')).toBe(false);
    await server.command('ACL', 'SETUSER', 'bridge', '&{secretbridge:test}:*');
    await eventually(() => reaches('after'));
    await eventually(() => told.includes('after'));
    expect(told).toEqual(['before', 'after']);
    await eventually(() => queue.health().state === 'up');
  });

  it('is degraded when its memory is full, and works again by itself', async () => {
    const server = await start();
    const queue = await open(server.address);
    const { seen, process } = notes();
    queue.start(process);
    await eventually(() => queue.health().state === 'up');
    const healths = healthsOf(queue);
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    const detail = 'the memory of Redis is full: raise its `maxmemory`';
    await expect(queue.add(job('a'))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE', detail });
    await eventually(() => shown(queue) === `degraded: ${detail}`);
    // A worker that cannot take a job must not ask for it without a pause.
    const before = await commands(server);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect((await commands(server)) - before).toBeLessThan(200);
    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    await eventually(() => queue.health().state === 'up');
    await queue.add(job('a'));
    await eventually(() => seen.length === 1);
    expect(healths.every((it) => it === 'up' || it.startsWith('degraded'))).toBe(true);
  });

  it('is degraded when it may drop jobs, and works all the same', async () => {
    const server = await start({ args: ['--maxmemory-policy', 'allkeys-lru'] });
    const queue = await open(server.address);
    const { seen, process } = notes();
    queue.start(process);
    await eventually(() => shown(queue).startsWith('degraded: Redis may drop jobs'));
    await queue.add(job('a'));
    await eventually(() => seen.length === 1);
  });

  it('is down as a replica without master, and works once it is the master', { tags: ['long'] }, async () => {
    const server = await start();
    await server.command('REPLICAOF', '127.0.0.1', String(await freePort()));
    const queue = await open(server.address);
    const { seen, process } = notes();
    queue.start(process);
    await eventually(() => /replica|reading its data/.test(shown(queue)));
    await expect(queue.add(job('a'))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    await server.command('REPLICAOF', 'NO', 'ONE');
    await eventually(() => queue.health().state === 'up');
    await queue.add(job('a'));
    await eventually(() => seen.length === 1);
  });

  it.each(['http://127.0.0.1:1', 'no url', 'redis://127.0.0.1:1/x'])(
    'is not looked for at %s',
    async (url) => {
      await expect(openQueue(url)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    },
  );
});

describe('a Redis behind TLS', () => {
  async function startTls(): Promise<{ url: string; folder: string; caFile: string; otherCaFile: string }> {
    const folder = await mkdtemp(join(tmpdir(), 'secretbridge-redis-tls-'));
    stops.push(() => rm(folder, { recursive: true }));
    const authority = createAuthority();
    const { cert, key } = authority.issue({ names: ['127.0.0.1'] });
    const files = {
      'ca.pem': authority.ca,
      'other.pem': createAuthority().ca,
      'cert.pem': cert,
      'key.pem': key,
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const path = (name: string): string => join(folder, name);
    const port = await freePort();
    await start({
      port,
      config: [
        ...['port 0', `tls-port ${port}`, `tls-cert-file ${path('cert.pem')}`],
        ...[`tls-key-file ${path('key.pem')}`, `tls-ca-cert-file ${path('ca.pem')}`],
      ],
      // Without a certificate of ours it ends the handshake, which shows that it is there.
      ready: async ({ command }) =>
        (await command('PING').catch((error: Error) => error.message)) !== 'ECONNREFUSED',
    });
    return {
      ...{ url: `rediss://127.0.0.1:${port}`, folder },
      ...{ caFile: path('ca.pem'), otherCaFile: path('other.pem') },
    };
  }

  it('is used with its authority and our certificate', async () => {
    const { url, folder, caFile } = await startTls();
    const tls = { caFile, certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
    await works(await open(url, { tls }));
  });

  it.each(['alone', 'in a cluster', 'as a sentinel'])(
    'is not trusted with another authority, and that is said, %s',
    async (how) => {
      const { url, otherCaFile } = await startTls();
      const sentinel = { name: 'main', addresses: [new URL(url).host] };
      const queue = await open(how === 'as a sentinel' ? 'rediss://ignored' : url, {
        tls: { caFile: otherCaFile },
        cluster: how === 'in a cluster',
        ...(how === 'as a sentinel' ? { sentinel } : {}),
      });
      queue.start(async () => undefined);
      await eventually(() => shown(queue).startsWith('down: the TLS connection to Redis fails'));
      await expect(queue.add(job('a'))).rejects.toMatchObject({ code: 'QUEUE_MISCONFIGURED' });
    },
  );

  it('is not trusted with another authority, not even with NODE_TLS_REJECT_UNAUTHORIZED', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    stops.push(async () => void vi.unstubAllEnvs());
    const { url, folder, otherCaFile } = await startTls();
    const client = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
    const queue = await open(url, { tls: { caFile: otherCaFile, ...client } });
    await eventually(() => shown(queue).startsWith('down: the TLS connection to Redis fails'));
  });

  it('is not trusted under another name', async () => {
    const { url, caFile } = await startTls();
    const queue = await open(url, { tls: { caFile, serverName: 'redis.example' } });
    await eventually(() => shown(queue).startsWith('down: the TLS connection to Redis fails'));
  });

  it('needs files that are there', async () => {
    const tls = { caFile: '/nowhere/ca.pem' };
    await expect(openQueue('rediss://127.0.0.1:1', { tls })).rejects.toMatchObject({
      code: 'CREDENTIAL_MISSING',
    });
  });
});

async function commands(server: RedisServer): Promise<number> {
  const stats = await server.command('INFO', 'stats');
  return Number(/total_commands_processed:(\d+)/.exec(stats)?.[1]);
}
