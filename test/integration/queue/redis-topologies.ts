import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RedisAddress } from '../../../src/queue/redis-address.ts';
import { temporaryFolder } from '../../audit/folder.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { freePort } from '../services/free-port.ts';
import { type RedisSecurity, type RedisServer, startRedis } from '../services/redis.ts';
import { until } from '../services/service.ts';

/** Returns TLS files and a password for a topology. The files stay until the object is disposed. */
export async function createSecurity(): Promise<RedisSecurity & AsyncDisposable> {
  const folder = await temporaryFolder();
  const authority = createAuthority();
  const { cert, key } = authority.issue({ names: ['127.0.0.1'] });
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(folder.path, name);
    await writeFile(path, text);
    return path;
  };
  return {
    caFile: await write('ca.pem', authority.ca),
    certFile: await write('cert.pem', cert),
    keyFile: await write('key.pem', key),
    password: randomBytes(12).toString('hex'),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** Returns the address of the queue and its TLS settings. */
export function addressAt(
  host: string,
  security: RedisSecurity | undefined,
): readonly [string, Pick<RedisAddress, 'tls'>] {
  if (security === undefined) return [`redis://${host}`, {}];
  return [`rediss://:${security.password}@${host}`, { tls: { caFile: security.caFile } }];
}

export interface RedisTopology extends AsyncDisposable {
  readonly servers: readonly RedisServer[];
}

/** A master, its replica, and three sentinels with a quorum of two. */
export async function startSentinels(
  name: string,
  security?: RedisSecurity,
): Promise<RedisTopology & { readonly sentinels: readonly string[] }> {
  const master = await startRedis({ security });
  const replica = await startRedis({ security, args: ['--replicaof', `127.0.0.1 ${master.port}`] });
  const passwords =
    security === undefined
      ? []
      : [`sentinel auth-pass ${name} ${security.password}`, `sentinel sentinel-pass ${security.password}`];
  const sentinels = await Promise.all(
    [0, 1, 2].map(() =>
      startRedis({
        sentinel: true,
        security,
        config: [
          `sentinel monitor ${name} 127.0.0.1 ${master.port} 2`,
          `sentinel down-after-milliseconds ${name} 1000`,
          `sentinel failover-timeout ${name} 3000`,
          ...passwords,
        ],
      }),
    ),
  );
  await until('The replication', 20_000, async () =>
    (await replica.command('INFO', 'replication')).includes('master_link_status:up'),
  );
  await until('The sentinels', 20_000, async () => {
    const infos = await Promise.all(sentinels.map((sentinel) => sentinel.command('INFO', 'sentinel')));
    return infos.every((text) => text.includes('slaves=1,sentinels=3'));
  });
  const servers = [master, replica, ...sentinels];
  return {
    servers,
    sentinels: sentinels.map(({ port }) => `127.0.0.1:${port}`),
    [Symbol.asyncDispose]: () => stopAll(servers),
  };
}

/** Three masters that share the hash slots, and with `security` a replica of each. */
export async function startCluster(security?: RedisSecurity): Promise<RedisTopology> {
  const size = security === undefined ? 3 : 6;
  const servers = await Promise.all(
    Array.from({ length: size }, async () => {
      const [port, bus] = [await freePort(), await freePort()];
      return startRedis({
        port,
        security,
        config: ['cluster-enabled yes', `cluster-port ${bus}`, 'cluster-node-timeout 2000'],
      });
    }),
  );
  const buses = await Promise.all(
    servers.map(
      async ({ command }) =>
        /^\$\d+\r\ncluster-port\r\n\$\d+\r\n(\d+)/m.exec(
          await command('CONFIG', 'GET', 'cluster-port'),
        )?.[1] ?? '',
    ),
  );
  const share = Math.ceil(16_384 / 3);
  for (const [index, server] of servers.slice(0, 3).entries()) {
    const last = Math.min(16_383, (index + 1) * share - 1);
    await server.command('CLUSTER', 'ADDSLOTSRANGE', String(index * share), String(last));
    await server.command('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
  }
  for (const [index, { port }] of servers.entries())
    await servers[0]?.command('CLUSTER', 'MEET', '127.0.0.1', String(port), buses[index] ?? '');
  await until('The cluster', 30_000, async () => {
    const infos = await Promise.all(servers.map((server) => server.command('CLUSTER', 'INFO')));
    return infos.every(
      (text) => text.includes('cluster_state:ok') && text.includes(`cluster_known_nodes:${size}`),
    );
  });
  for (const [index, replica] of servers.slice(3).entries()) {
    const [, master = ''] = (await servers[index]?.command('CLUSTER', 'MYID'))?.split('\r\n') ?? [];
    await replica.command('CLUSTER', 'REPLICATE', master);
    await until('The replication', 20_000, async () =>
      (await replica.command('INFO', 'replication')).includes('master_link_status:up'),
    );
  }
  return { servers, [Symbol.asyncDispose]: () => stopAll(servers) };
}

async function stopAll(servers: readonly RedisServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}
