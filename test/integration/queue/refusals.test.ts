import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { SecretValue } from '../../../src/core/secret-value.ts';
import type { Queue } from '../../../src/queue/queue.ts';
import { eventually, job, recordingProcess } from '../../conformance/queue.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { freePort } from '../services/free-port.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { healthText, type OpenOptions, openQueue, recordHealth } from './harness.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function start(options: Parameters<typeof startRedis>[0] = {}): Promise<RedisServer> {
  const server = await startRedis(options);
  stops.push(() => server.stop());
  return server;
}

async function open(url: string, options: OpenOptions = {}): Promise<Queue> {
  const queue = await openQueue(url, options);
  stops.push(() => queue.close(1_000));
  return queue;
}

/** The Redis rights that the documentation recommends. */
const RIGHTS = ['~{secretbridge:test}:*', '+@all', '-@admin', '-@dangerous', '+info'];

async function expectWorking(queue: Queue): Promise<void> {
  const { seen, process } = recordingProcess(async (current, run) => {
    if (run === 1) await queue.add([current], { delayMs: 10 });
  });
  queue.start(process);
  await eventually(() => queue.health().state === 'up');
  await queue.add([job('a')]);
  await queue.add([job('b')], { delayMs: 60_000 });
  await queue.add([job('b', 'manual')]);
  await queue.add([job('c')], { once: { id: 'x', ttlMs: 1_000 } });
  await eventually(() => seen.length === 4);
  const received: string[] = [];
  queue.broadcast.subscribe((field) => void received.push(field));
  queue.broadcast.send('a', '1');
  await eventually(() => received.length === 1);
}

describe('a Redis that rejects requests', () => {
  it.each([
    ['without a password', '', 'Redis requires a user and password, and `engine.url` contains none'],
    ['with a wrong password', ':wr0ng@', 'Redis rejects the user and password of `engine.url`'],
    ['with an unknown user', 'ann:wr0ng@', 'Redis rejects the user and password of `engine.url`'],
  ])(
    'distinguishes a Redis that rejects a login from an unreachable Redis if the queue connects %s',
    async (_, credentials, detail) => {
      const server = await start({ args: ['--requirepass', 's3cret'] });
      const queue = await open(server.address.replace('//', `//${credentials}`));
      queue.start(async () => undefined);
      await eventually(() => healthText(queue) === `down: ${detail}`);
      await expect(queue.add([job('a')])).rejects.toMatchObject({ detail });
      await queue.close(1_000);
      expect(JSON.stringify(queue.health().error)).not.toContain('wr0ng');
    },
  );

  it.each([
    ['no password', undefined],
    ['a wrong password', SecretValue.fromText('wr0ng')],
  ])(
    'reports the sentinels as misconfigured if the configuration contains %s for the sentinels',
    async (_, password) => {
      const master = await start();
      const sentinel = await start({
        sentinel: true,
        config: ['requirepass s3cret', `sentinel monitor main 127.0.0.1 ${master.port} 1`],
      });
      const addresses = [`127.0.0.1:${sentinel.port}`];
      const queue = await open('redis://ignored', { sentinel: { name: 'main', addresses, password } });
      const detail =
        'no sentinel accepts `engine.sentinel.password`, or the sentinels require a password that is not set';
      await eventually(() => healthText(queue) === `down: ${detail}`);
      const healths = recordHealth(queue);
      await expect(queue.add([job('a')])).rejects.toMatchObject({ code: 'QUEUE_MISCONFIGURED', detail });
      expect(healths).toEqual([`down: ${detail}`]);
    },
  );

  it('the queue works with a user, a password and only the documented rights', async () => {
    const server = await start({ config: [`user bridge on >p%40ss! ${RIGHTS.join(' ')}`] });
    await expectWorking(await open(server.address.replace('//', '//bridge:p%2540ss!@')));
  });

  it('the queue reports missing rights, and works after an administrator grants them', async () => {
    const server = await start({ config: [`user bridge on >pw ~other:* &* +@all`] });
    const queue = await open(server.address.replace('//', '//bridge:pw@'));
    await eventually(() => healthText(queue).startsWith('down: Redis denies the user'));
    await server.command('ACL', 'SETUSER', 'bridge', 'reset', 'on', '>pw', ...RIGHTS);
    await queue.add([job('a')]);
    await eventually(() => queue.health().state === 'up');
  });

  it.each([
    ['without scripts', { config: ['rename-command EVAL ""', 'rename-command EVALSHA ""'] }, undefined],
    ['with a value of another type at a queue key', {}, ['SET', '{secretbridge:test}:jobs:prioritized', 'x']],
  ])('reports a Redis %s as misconfigured', { tags: ['long'] }, async (_, options, command) => {
    const server = await start(options);
    if (command !== undefined) await server.command(...command);
    const queue = await open(server.address);
    const { seen, process } = recordingProcess();
    queue.start(process);
    await eventually(() => !healthText(queue).includes('not connected yet'));
    const detail = expect.stringContaining('Redis refuses a command that the queue needs');
    await expect(queue.add([job('a')])).rejects.toMatchObject({ detail });
    await eventually(() =>
      healthText(queue).startsWith('down: Redis refuses a command that the queue needs'),
    );
    expect(queue.health().error).toMatchObject({ code: 'QUEUE_MISCONFIGURED' });
    if (command === undefined) return;
    await server.command('FLUSHALL');
    await eventually(() => queue.health().state === 'up');
    await queue.add([job('a')]);
    await eventually(() => seen.length === 1);
  });

  it('the queue skips invalid broadcasts, and delivers the next valid broadcast', async () => {
    const server = await start();
    const queue = await open(server.address);
    const key = '{secretbridge:test}:broadcast:events';
    for (const fields of [
      ['text', 'x'],
      ['event', 'message', 'text', 'x'],
      ['event', 'other', 'topic', 'x'],
    ])
      await server.command('XADD', key, '*', ...fields);
    const received: string[] = [];
    queue.broadcast.subscribe((topic, text) => void received.push(`${topic} ${text}`));
    await server.command('XADD', key, '*', 'event', 'message', 'topic', 'a', 'text', 'valid');
    await eventually(() => received.length === 1);
    expect(received).toEqual(['a valid']);
  });

  it('the queue is degraded while the memory of the Redis is full, and recovers without a restart', async () => {
    const server = await start();
    const queue = await open(server.address);
    const { seen, process } = recordingProcess();
    queue.start(process);
    await eventually(() => queue.health().state === 'up');
    const healths = recordHealth(queue);
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    const detail = 'the memory of Redis is full: raise its `maxmemory`';
    await expect(queue.add([job('a')])).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE', detail });
    await eventually(() => healthText(queue) === `degraded: ${detail}`);
    // A worker that cannot take a job must pause before the next attempt.
    const before = await commands(server);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect((await commands(server)) - before).toBeLessThan(200);
    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    await eventually(() => queue.health().state === 'up');
    await queue.add([job('a')]);
    await eventually(() => seen.length === 1);
    expect(healths.every((health) => health === 'up' || health.startsWith('degraded'))).toBe(true);
  });

  it('the queue is degraded but works when the eviction policy of the Redis may drop jobs', async () => {
    const server = await start({ args: ['--maxmemory-policy', 'allkeys-lru'] });
    const queue = await open(server.address);
    const { seen, process } = recordingProcess();
    queue.start(process);
    await eventually(() => healthText(queue).startsWith('degraded: Redis may evict jobs'));
    await queue.add([job('a')]);
    await eventually(() => seen.length === 1);
  });

  it('the queue is down while its Redis is a replica, and works after the Redis becomes a master', {
    tags: ['long'],
  }, async () => {
    const server = await start();
    await server.command('REPLICAOF', '127.0.0.1', String(await freePort()));
    const queue = await open(server.address);
    const { seen, process } = recordingProcess();
    queue.start(process);
    await eventually(() => /replica|loading its data/.test(healthText(queue)));
    await expect(queue.add([job('a')])).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    await server.command('REPLICAOF', 'NO', 'ONE');
    await eventually(() => queue.health().state === 'up');
    await queue.add([job('a')]);
    await eventually(() => seen.length === 1);
  });

  it.each(['http://127.0.0.1:1', 'no url', 'redis://127.0.0.1:1/x'])('rejects the URL %s', async (url) => {
    await expect(openQueue(url)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
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
      // The client has no certificate, so the server ends the handshake. This proves that the server is running.
      ready: async ({ command }) =>
        (await command('PING').catch((error: Error) => error.message)) !== 'ECONNREFUSED',
    });
    return {
      ...{ url: `rediss://127.0.0.1:${port}`, folder },
      ...{ caFile: path('ca.pem'), otherCaFile: path('other.pem') },
    };
  }

  it('the queue works with the CA of the Redis and a client certificate', async () => {
    const { url, folder, caFile } = await startTls();
    const tls = { caFile, certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
    await expectWorking(await open(url, { tls }));
  });

  const OTHER_AUTHORITY =
    'the queue rejects a Redis whose certificate was signed by another authority (Redis %s)';
  async function rejectsOtherAuthority(how: string): Promise<void> {
    const { url, otherCaFile } = await startTls();
    const sentinel = { name: 'main', addresses: [new URL(url).host] };
    const queue = await open(how === 'as a sentinel' ? 'rediss://ignored' : url, {
      tls: { caFile: otherCaFile },
      cluster: how === 'in a cluster',
      ...(how === 'as a sentinel' ? { sentinel } : {}),
    });
    queue.start(async () => undefined);
    await eventually(() => healthText(queue).startsWith('down: the TLS connection to Redis fails'));
    await expect(queue.add([job('a')])).rejects.toMatchObject({ code: 'QUEUE_MISCONFIGURED' });
  }
  it.each(['alone'])(OTHER_AUTHORITY, rejectsOtherAuthority);
  it.each(['in a cluster', 'as a sentinel'])(OTHER_AUTHORITY, { tags: ['long'] }, rejectsOtherAuthority);

  it('the queue rejects a Redis whose certificate was signed by another authority, even with NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    stops.push(async () => void vi.unstubAllEnvs());
    const { url, folder, otherCaFile } = await startTls();
    const client = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
    const queue = await open(url, { tls: { caFile: otherCaFile, ...client } });
    await eventually(() => healthText(queue).startsWith('down: the TLS connection to Redis fails'));
  });

  it('the queue rejects a Redis whose certificate has another server name', async () => {
    const { url, caFile } = await startTls();
    const queue = await open(url, { tls: { caFile, serverName: 'redis.example' } });
    await eventually(() => healthText(queue).startsWith('down: the TLS connection to Redis fails'));
  });

  it('the queue fails with CREDENTIAL_MISSING if the configured CA file is missing', async () => {
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
