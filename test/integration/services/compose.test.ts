import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { describe, expect, it } from 'vitest';
import { composeServers } from './compose.ts';
import { kubernetes } from './inject.ts';
import { borrowKubernetesIfThere } from './kubernetes-borrowed.ts';
import { borrowPostgres, startPostgres } from './postgres.ts';
import { borrowRedis, startRedis } from './redis.ts';

const servers = composeServers();
const CONF = join(import.meta.dirname, '../../../deploy/compose/redis.conf');
const confLines = () =>
  readFileSync(CONF, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
/** Replaces the port of an address, because a parallel run could use a server on the standard port. */
const withPort = (address: string, port: string | number) => {
  const url = new URL(address);
  url.port = String(port);
  return url.href;
};

describe('the Redis of Compose', () => {
  it('uses the Redis that Compose started, with the settings of docker-compose.yml, and leaves this Redis running', async () => {
    await using server = await startRedis({ config: confLines() });
    const compose = { redis: withPort(servers.redis, server.port) };
    const borrowed = await borrowRedis({}, compose);
    expect(borrowed).toMatchObject({ address: compose.redis, borrowed: true });
    await borrowed?.stop();
    expect(await server.command('PING')).toMatch(/^-NOAUTH/);
  });

  it.each([
    ['has no password', []],
    ['has another password', ['requirepass of-somebody-else']],
  ])('ignores a Redis that %s', async (_, config) => {
    await using server = await startRedis({ config });
    expect(await borrowRedis({}, { redis: withPort(servers.redis, server.port) })).toBeUndefined();
  });

  it('ignores the Redis of Compose when another Redis is configured', async () => {
    await using server = await startRedis();
    const env = { SECRETBRIDGE_TEST_REDIS_URL: server.address };
    expect(await borrowRedis(env)).toMatchObject({ address: server.address });
    await expect(borrowRedis({ SECRETBRIDGE_TEST_REDIS_URL: 'redis://127.0.0.1:1' })).rejects.toThrow(
      'does not let us in',
    );
  });
});

describe('the PostgreSQL of Compose', () => {
  it('uses the PostgreSQL of Compose only when the Compose user can log in', async () => {
    await using server = await startPostgres({ borrow: false });
    const compose = { postgres: withPort(servers.postgres, new URL(server.url).port) };
    expect(await borrowPostgres({}, compose)).toBeUndefined();
    const { username, password } = new URL(compose.postgres);
    const client = new Client({ connectionString: server.url });
    await client.connect();
    await client.query(`create role ${username} superuser login password '${password}'`);
    await client.end();
    expect(await borrowPostgres({}, compose)).toMatchObject({ url: compose.postgres, borrowed: true });
  });
});

describe('the API server of Compose', () => {
  it('uses the API server of Compose only while it answers at the address in its kubeconfig', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'secretbridge-compose-'));
    try {
      const path = join(folder, 'kubeconfig.yaml');
      expect(await borrowKubernetesIfThere(path)).toBeUndefined();
      copyFileSync(kubernetes().kubeconfig, path);
      await using borrowed = await borrowKubernetesIfThere(path);
      expect(borrowed).toMatchObject({ borrowed: true, address: kubernetes().address });
      const stale = readFileSync(path, 'utf8').replace(/https:\/\/127\.0\.0\.1:\d+/, 'https://127.0.0.1:1');
      writeFileSync(path, stale);
      expect(await borrowKubernetesIfThere(path)).toBeUndefined();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
