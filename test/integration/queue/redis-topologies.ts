import { freePort } from '../services/free-port.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { until } from '../services/service.ts';

export interface RedisTopology extends AsyncDisposable {
  readonly servers: readonly RedisServer[];
}

/** A master, its replica, and three sentinels with a quorum of two. */
export async function startSentinels(
  name: string,
): Promise<RedisTopology & { readonly sentinels: readonly string[] }> {
  const master = await startRedis();
  const replica = await startRedis({ args: ['--replicaof', `127.0.0.1 ${master.port}`] });
  const sentinels = await Promise.all(
    [0, 1, 2].map(() =>
      startRedis({
        sentinel: true,
        config: [
          `sentinel monitor ${name} 127.0.0.1 ${master.port} 2`,
          `sentinel down-after-milliseconds ${name} 1000`,
          `sentinel failover-timeout ${name} 3000`,
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

/** Three masters that share the hash slots. */
export async function startCluster(): Promise<RedisTopology> {
  const servers = await Promise.all(
    [0, 1, 2].map(async () => {
      const [port, bus] = [await freePort(), await freePort()];
      return startRedis({
        port,
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
  const share = Math.ceil(16_384 / servers.length);
  for (const [index, server] of servers.entries()) {
    const last = Math.min(16_383, (index + 1) * share - 1);
    await server.command('CLUSTER', 'ADDSLOTSRANGE', String(index * share), String(last));
    await server.command('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
  }
  for (const [index, { port }] of servers.entries())
    await servers[0]?.command('CLUSTER', 'MEET', '127.0.0.1', String(port), buses[index] ?? '');
  await until('The cluster', 30_000, async () => {
    const infos = await Promise.all(servers.map((server) => server.command('CLUSTER', 'INFO')));
    return infos.every((text) => text.includes('cluster_state:ok') && text.includes('cluster_known_nodes:3'));
  });
  return { servers, [Symbol.asyncDispose]: () => stopAll(servers) };
}

async function stopAll(servers: readonly RedisServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}
