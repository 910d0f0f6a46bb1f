import { randomUUID } from 'node:crypto';
import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import type { ProbeResult } from './health.ts';
import { parseAddress, type RedisAddress, sentinelsOf, tlsOptions } from './redis-address.ts';
import { EVICTS, failureOf, READONLY, replyFailureOf } from './redis-errors.ts';
import { throughSentinels, watchFailovers } from './sentinels.ts';
import type { Backend, QueueServer } from './server.ts';

type Client = Redis | Cluster;

/** With this mapping, replies have the same format under both versions of the Redis protocol. */
type Options = RedisOptions & { readonly replyMapping: 'legacy' };

/** Timeout of a command on the quick connection. */
const COMMAND_MS = 2_000;
/** BullMQ's blocking commands return after at most 10 s, so a longer silence means a dead connection. */
const SOCKET_TIMEOUT_MS = 20_000;
const MAX_RETRY_MS = 2_000;
/** The eviction policy changes rarely, so only every 20th probe reads it. */
const PROBES_PER_POLICY = 20;

const COMMON: RedisOptions = {
  connectTimeout: 5_000,
  keepAlive: 10_000,
  disableClientInfo: true,
  retryStrategy,
  // READONLY means that the master has become a replica, so reconnect to find the new master. Redis 6 embeds this reply
  // in a script error.
  reconnectOnError: (error) => replyFailureOf(error) === READONLY,
};

/**
 * Connects to Redis in the background.
 *
 * @param prefix The prefix of all keys.
 * @throws AppError CONFIG_INVALID if the address is invalid. Never throws because Redis is down.
 */
export async function connectRedis(address: RedisAddress, prefix: string): Promise<QueueServer> {
  const ioredis = await import('ioredis');
  const { createRedisBackend } = await import('bullmq');
  const { host, port, secure, login } = parseAddress(address);
  const tls = secure ? await tlsOptions(address.tls) : undefined;
  let onError: (thrown: unknown) => void = ignore;
  const report = (thrown: unknown): void => onError(thrown);
  // If the cluster client cannot read the slots, only the errors of the node connections contain the cause. Ignore
  // error replies here, because the failed command throws them as well.
  const onNodeError = (thrown: unknown): void => {
    if (replyFailureOf(thrown) === undefined) report(thrown);
  };
  // Includes the duplicates that BullMQ opens for blocking commands. BullMQ cannot close one that never was ready.
  const clients = new Set<Client>();
  let closed = false;
  const track = (client: Client): void => {
    clients.add(client);
    client.on('connecting', () => {
      // BullMQ's worker may reconnect after it was closed while Redis did not answer.
      if (closed) client.disconnect();
      else clients.add(client);
    });
    client.on('end', () => void clients.delete(client));
  };
  const sentinels = address.sentinel && {
    ...sentinelsOf(address.sentinel, tls),
    timeoutMs: COMMAND_MS,
    retryStrategy,
  };
  const endpoint = sentinels === undefined ? { host, port } : throughSentinels(ioredis, sentinels);

  const open = (overrides: RedisOptions): Client => {
    const all: Options = {
      ...login,
      ...COMMON,
      ...overrides,
      ...(tls === undefined ? {} : { tls }),
      replyMapping: 'legacy',
    };
    const client = address.cluster
      ? new ioredis.Cluster([{ host, port }], clusterOptions(all, address))
      : new ioredis.Redis({ ...all, ...endpoint, replyMapping: 'legacy' as const });
    client.on('error', report);
    if (address.cluster) {
      client.on('node error', report);
      client.on('+node', (node: Redis) => handleAllErrors(node, (redis) => redis.on('error', onNodeError)));
      trackDuplicates(client as Cluster, track);
    } else handleAllErrors(client as Redis, track);
    return client;
  };
  const watching: Redis[] = [];
  if (sentinels !== undefined) {
    const onFailover = (): void => {
      for (const client of clients) client.disconnect(true);
    };
    watching.push(...watchFailovers(ioredis, sentinels, { onFailover, onError: report }));
    for (const client of watching) handleAllErrors(client);
  }
  // Commands fail immediately without a connection, and within seconds if Redis does not reply.
  const quick = open({
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_MS,
    socketTimeout: 5 * COMMAND_MS,
  });
  let blocking: Client | undefined;
  return {
    kind: 'redis',
    name: 'Redis',
    backend: createRedisBackend as Backend,
    prefix,
    connection: quick,
    blocking: () => (blocking ??= open({ maxRetriesPerRequest: null, socketTimeout: SOCKET_TIMEOUT_MS })),
    isReady: () => quick.status === 'ready',
    probe: createProbe(quick, `${prefix}:epoch`),
    failureOf,
    refusalOf: replyFailureOf,
    reconnect: () => quick.disconnect(true),
    onReady: (listener) => void quick.on('ready', listener),
    onClose: (listener) => void quick.on('close', listener),
    onError(listener) {
      onError = listener;
    },
    close() {
      closed = true;
      for (const client of [...clients, ...watching]) client.disconnect();
    },
  };
}

/**
 * Checks Redis with a small write. No other command detects that Redis is full, read-only or emptied.
 *
 * @param key A key that only this check writes. It keeps its value as long as Redis keeps its data.
 */
function createProbe(quick: Client, key: string): () => Promise<ProbeResult> {
  let probes = 0;
  let evicts = false;
  quick.on('ready', () => {
    probes = 0;
  });
  return async () => {
    const newId = randomUUID();
    const isNew = (await quick.set(key, newId, 'NX')) === 'OK';
    const dataId = isNew ? newId : ((await quick.get(key)) ?? newId);
    // Few ACLs grant `INFO`, but BullMQ needs it anyway.
    if (probes % PROBES_PER_POLICY === 0) evicts = mayEvict(await quick.info('memory'));
    probes += 1;
    return { dataId, warning: evicts ? EVICTS : undefined };
  };
}

function mayEvict(info: string): boolean {
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  return policy !== undefined && policy !== 'noeviction';
}

/**
 * Handles every error of a connection, because Node.js ends the process on an unhandled error. ioredis handles only the
 * first one. A TLS connection may emit two: our rejection of the certificate, and the server's answer to that
 * rejection.
 *
 * @param each Called with the client and with each duplicate of it.
 */
function handleAllErrors(client: Redis, each: (client: Redis) => void = ignore): void {
  each(client);
  const handleStreamErrors = (): void => {
    const { stream } = client;
    if (stream !== undefined && !stream.listeners('error').includes(ignore)) stream.on('error', ignore);
  };
  // At this point the socket exists and cannot have failed yet. With sentinels the socket is created later, so the
  // `error` listener attaches the handler too.
  client.on('connecting', () => void setImmediate(handleStreamErrors));
  client.on('error', handleStreamErrors);
  // BullMQ duplicates clients for blocking commands.
  const duplicate = client.duplicate.bind(client);
  client.duplicate = (override) => {
    const copy = duplicate(override);
    handleAllErrors(copy, each);
    return copy;
  };
}

/** Calls `each` with the client of a cluster and with each duplicate of it. */
function trackDuplicates(client: Cluster, each: (client: Cluster) => void): void {
  each(client);
  const duplicate = client.duplicate.bind(client);
  client.duplicate = (...overrides) => {
    const copy = duplicate(...overrides);
    trackDuplicates(copy, each);
    return copy;
  };
}

function ignore(): void {
  // ioredis has already reported the first error of the connection.
}

/** Adds jitter, so that replicas do not all reconnect in the same moment. */
function retryStrategy(times: number): number {
  return Math.min(100 * 2 ** Math.min(times, 8), MAX_RETRY_MS) * (0.5 + Math.random() / 2);
}

function clusterOptions(
  options: Options,
  { tls }: RedisAddress,
): ClusterOptions & { readonly redisOptions: Omit<Options, 'enableOfflineQueue' | 'retryStrategy'> } {
  const { retryStrategy: _, enableOfflineQueue = true, ...redisOptions } = options;
  return {
    redisOptions,
    enableOfflineQueue,
    clusterRetryStrategy: retryStrategy,
    slotsRefreshTimeout: COMMAND_MS,
    // Certificates contain host names, so do not resolve the cluster's node names to addresses.
    ...(options.tls === undefined || tls?.serverName !== undefined
      ? {}
      : {
          dnsLookup: (host: string, callback: (error: null, found: string) => void) => callback(null, host),
        }),
  };
}
