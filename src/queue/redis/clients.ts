import { getCACertificates } from 'node:tls';
import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import { AppError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { readAuthorities, readPem } from '../../core/small-file.ts';
import { READONLY, replyFailureOf } from './errors.ts';
import { type SentinelsOptions, throughSentinels, watchFailovers } from './sentinels.ts';

/** Paths of PEM files, which are read once. */
export interface RedisTls {
  /** Additional certificate authorities. */
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The host name that the certificate must contain. */
  readonly serverName?: string | undefined;
}

export interface RedisAddress {
  /** `redis://` or `rediss://`, with user, password and database number. */
  readonly url: SecretValue;
  readonly tls?: RedisTls | undefined;
  readonly sentinel?:
    | {
        readonly name: string;
        readonly addresses: readonly string[];
        readonly password?: SecretValue | undefined;
      }
    | undefined;
  readonly cluster: boolean;
}

export type Client = Redis | Cluster;

/** With this mapping, replies have the same format under both versions of the Redis protocol. */
type Options = RedisOptions & { readonly replyMapping: 'legacy' };

export interface RedisClients {
  /** Commands fail at once without a connection, and within seconds if Redis does not reply. */
  readonly quick: Client;
  /** Opens a client whose commands wait for a connection indefinitely, as BullMQ's worker requires. */
  blocking(): Client;
  readonly subscriber: Client;
  close(): void;
}

/** Timeout of a command on the `quick` client. */
export const COMMAND_MS = 2_000;
/** BullMQ's blocking command returns after at most 10 s, so a longer silence means a dead connection. */
const SOCKET_TIMEOUT_MS = 20_000;
const MAX_RETRY_MS = 2_000;

/** Connects in the background. `onError` receives every error that the client library throws. */
export async function openClients(
  address: RedisAddress,
  onError: (thrown: unknown) => void,
): Promise<RedisClients> {
  const ioredis = await import('ioredis');
  const { host, port, secure, options } = connection(address);
  const tls = secure ? await tlsOptions(address.tls) : undefined;
  const opened: Client[] = [];
  // If the cluster client cannot read the slots, only the errors of the node connections contain the cause. Ignore
  // error replies here, because the failed command throws them as well.
  const onNodeError = (thrown: unknown): void => {
    if (replyFailureOf(thrown) === undefined) onError(thrown);
  };
  const liveClients = new Set<Redis>();
  const trackLive = (client: Redis): void => {
    liveClients.add(client);
    client.on('connecting', () => void liveClients.add(client));
    client.on('end', () => void liveClients.delete(client));
  };
  const sentinels = address.sentinel && sentinelsOf(address.sentinel, tls);
  const endpoint = sentinels === undefined ? { host, port } : throughSentinels(ioredis, sentinels);

  const open = (overrides: RedisOptions): Client => {
    const all: Options = {
      ...options,
      ...overrides,
      ...(tls === undefined ? {} : { tls }),
      replyMapping: 'legacy',
    };
    const client = address.cluster
      ? new ioredis.Cluster([{ host, port }], clusterOptions(all, address))
      : new ioredis.Redis({ ...all, ...endpoint, replyMapping: 'legacy' as const });
    client.on('error', onError);
    if (address.cluster) {
      client.on('node error', onError);
      client.on('+node', (node: Redis) => handleAllErrors(node, (redis) => redis.on('error', onNodeError)));
    } else handleAllErrors(client as Redis, trackLive);
    opened.push(client);
    return client;
  };
  if (sentinels !== undefined) {
    const onFailover = (): void => {
      for (const client of liveClients) client.disconnect(true);
    };
    const watching = watchFailovers(ioredis, sentinels, { onFailover, onError });
    for (const client of watching) handleAllErrors(client);
    opened.push(...watching);
  }
  return {
    quick: open({
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      commandTimeout: COMMAND_MS,
      socketTimeout: 5 * COMMAND_MS,
    }),
    // With `autoResubscribe`, ioredis leaves the error of a refused subscription unhandled, and Node.js ends the
    // process.
    subscriber: open({
      maxRetriesPerRequest: null,
      socketTimeout: SOCKET_TIMEOUT_MS,
      autoResubscribe: false,
    }),
    blocking: () => open({ maxRetriesPerRequest: null, socketTimeout: SOCKET_TIMEOUT_MS }),
    close() {
      for (const client of opened) client.disconnect();
    },
  };
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

function ignore(): void {
  // ioredis has already reported the first error of the connection.
}

interface Connection {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly options: RedisOptions;
}

function connection(address: RedisAddress): Connection {
  const text = address.url.revealText();
  if (!URL.canParse(text)) throw badUrl('it is not a URL');
  const url = new URL(text);
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:')
    throw badUrl('it must begin with redis:// or rediss://');
  const db = url.pathname.replace('/', '');
  if (!/^\d{0,5}$/.test(db)) throw badUrl('its path must be the number of a database');
  if (address.cluster && Number(db) !== 0) throw badUrl('a cluster has only database 0');
  const secure = url.protocol === 'rediss:' || address.tls !== undefined;
  // Remove the brackets of an IPv6 address.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return {
    host: host === '' ? '127.0.0.1' : host,
    port: url.port === '' ? 6379 : Number(url.port),
    secure,
    options: {
      ...(url.username === '' ? {} : { username: decoded(url.username) }),
      ...(url.password === '' ? {} : { password: decoded(url.password) }),
      ...(db === '' ? {} : { db: Number(db) }),
      connectTimeout: 5_000,
      keepAlive: 10_000,
      disableClientInfo: true,
      retryStrategy,
      // READONLY means that the master has become a replica, so reconnect to find the new master. Redis 6 embeds this
      // reply in a script error.
      reconnectOnError: (error) => replyFailureOf(error) === READONLY,
    },
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (thrown) {
    if (!(thrown instanceof URIError)) throw thrown;
    throw badUrl('a % in user or password must be written as %25');
  }
}

function badUrl(why: string): AppError {
  return new AppError('CONFIG_INVALID', { subject: 'engine.url', detail: why });
}

/** Adds jitter, so that replicas do not reconnect all at once. */
function retryStrategy(times: number): number {
  return Math.min(100 * 2 ** Math.min(times, 8), MAX_RETRY_MS) * (0.5 + Math.random() / 2);
}

type TlsOptions = NonNullable<RedisOptions['tls']>;

async function tlsOptions({ caFile, certFile, keyFile, serverName }: RedisTls = {}): Promise<TlsOptions> {
  const file = { code: 'CREDENTIAL_MISSING', subject: 'engine.tls' } as const;
  return {
    rejectUnauthorized: true, // NODE_TLS_REJECT_UNAUTHORIZED must not turn this off
    // Trust the given authorities in addition to the default ones.
    ...(caFile === undefined
      ? {}
      : { ca: [...getCACertificates('default'), await readAuthorities(caFile, file)] }),
    ...(certFile === undefined ? {} : { cert: await readPem(certFile, file) }),
    ...(keyFile === undefined ? {} : { key: await readPem(keyFile, file) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

function sentinelsOf(
  { name, addresses, password }: NonNullable<RedisAddress['sentinel']>,
  tls: TlsOptions | undefined,
): SentinelsOptions {
  return {
    name,
    addresses: addresses.map((address) => {
      const colon = address.lastIndexOf(':');
      return {
        host: address.slice(0, colon).replace(/^\[|\]$/g, ''),
        port: Number(address.slice(colon + 1)),
      };
    }),
    password: password?.revealText(),
    tls,
    timeoutMs: COMMAND_MS,
    retryStrategy,
  };
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
