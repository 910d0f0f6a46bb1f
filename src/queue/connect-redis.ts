import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import {
  parseAddress,
  type RedisAddress,
  type RedisEndpoint,
  sentinelsOf,
  type TlsOptions,
  tlsOptions,
} from './redis-address.ts';
import { READONLY, replyFailureOf } from './redis-errors.ts';
import { type SentinelsOptions, throughSentinels, watchFailovers } from './sentinels.ts';

type Client = Redis | Cluster;

/** With this mapping, replies have the same format under both versions of the Redis protocol. */
type Options = RedisOptions & { readonly replyMapping: 'legacy' };

interface ClusterSettings {
  readonly startNode: { readonly host: string; readonly port: number };
  readonly serverName: string | undefined;
}

/** Timeout of a command on the quick connection. */
const COMMAND_MS = 2_000;
/** BullMQ's blocking commands return after at most 10 s, so a longer silence means a dead connection. */
const SOCKET_TIMEOUT_MS = 20_000;
const MAX_RETRY_MS = 2_000;

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
export async function connectRedis(address: RedisAddress, prefix: string): Promise<RedisServer> {
  const endpoint = parseAddress(address);
  return new RedisServer(
    address,
    endpoint,
    endpoint.secure ? await tlsOptions(address.tls) : undefined,
    prefix,
  );
}

/** The connections to Redis. They reconnect after each loss. */
export class RedisServer {
  /** BullMQ's prefix of all keys. */
  readonly prefix: string;
  /** A connection whose calls fail immediately while it is down, and within seconds if Redis does not reply. */
  readonly connection: Client;
  /** Passes an error of any connection to the listener. */
  readonly reportError = (thrown: unknown): void => this.#listener(thrown);

  readonly #options: Options;
  readonly #cluster: ClusterSettings | undefined;
  readonly #sentinels: readonly Redis[];
  /**
   * All clients, including the duplicates that BullMQ opens for blocking commands. BullMQ cannot close a duplicate that
   * was never ready.
   */
  readonly #clients = new Set<Client>();
  #blocking: Client | undefined;
  #listener: (thrown: unknown) => void = ignore;
  #closed = false;

  constructor(address: RedisAddress, endpoint: RedisEndpoint, tls: TlsOptions | undefined, prefix: string) {
    const { host, port, login } = endpoint;
    const sentinels = address.sentinel && {
      ...sentinelsOf(address.sentinel, tls),
      timeoutMs: COMMAND_MS,
      retryStrategy,
    };
    const endpointOptions = sentinels === undefined ? { host, port } : throughSentinels(sentinels);
    this.prefix = prefix;
    this.#cluster = address.cluster
      ? { startNode: { host, port }, serverName: address.tls?.serverName }
      : undefined;
    this.#options = {
      ...login,
      ...COMMON,
      ...(tls === undefined ? {} : { tls }),
      ...(address.cluster ? {} : endpointOptions),
      replyMapping: 'legacy',
    };
    this.#sentinels = sentinels === undefined ? [] : this.#watchFailovers(sentinels);
    this.connection = this.#open({
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      commandTimeout: COMMAND_MS,
      socketTimeout: 5 * COMMAND_MS,
    });
  }

  /**
   * A connection for calls that wait for Redis indefinitely, as BullMQ's worker requires. BullMQ opens a duplicate for
   * blocking calls.
   */
  blocking(): Client {
    this.#blocking ??= this.#open({ maxRetriesPerRequest: null, socketTimeout: SOCKET_TIMEOUT_MS });
    return this.#blocking;
  }

  isReady(): boolean {
    return this.connection.status === 'ready';
  }

  /** Replaces a connection that may be half open. */
  reconnect(): void {
    this.connection.disconnect(true);
  }

  onReady(listener: () => void): void {
    this.connection.on('ready', listener);
  }

  onClose(listener: () => void): void {
    this.connection.on('close', listener);
  }

  /** Sets the listener that receives every error of a connection. */
  onError(listener: (thrown: unknown) => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.#closed = true;
    for (const client of [...this.#clients, ...this.#sentinels]) client.disconnect();
  }

  #open(overrides: RedisOptions): Client {
    const options: Options = { ...this.#options, ...overrides, replyMapping: 'legacy' };
    if (this.#cluster !== undefined) return this.#openCluster(options, this.#cluster);
    const client = new Redis(options);
    client.on('error', this.reportError);
    handleAllErrors(client, (each) => this.#track(each));
    return client;
  }

  #openCluster(options: Options, settings: ClusterSettings): Client {
    const client = new Cluster([settings.startNode], clusterOptions(options, settings));
    client.on('error', this.reportError);
    client.on('node error', this.reportError);
    // If the cluster client cannot read the slots, only the errors of the node connections contain the cause. Ignore
    // error replies here, because the failed command throws them as well.
    const onNodeError = (thrown: unknown): void => {
      if (replyFailureOf(thrown) === undefined) this.reportError(thrown);
    };
    client.on('+node', (node: Redis) => handleAllErrors(node, (each) => each.on('error', onNodeError)));
    trackDuplicates(client, (each) => this.#track(each));
    return client;
  }

  #watchFailovers(options: SentinelsOptions): readonly Redis[] {
    const onFailover = (): void => {
      for (const client of this.#clients) client.disconnect(true);
    };
    const watching = watchFailovers(options, { onFailover, onError: this.reportError });
    for (const client of watching) handleAllErrors(client);
    return watching;
  }

  #track(client: Client): void {
    this.#clients.add(client);
    client.on('connecting', () => {
      // BullMQ's worker may reconnect after it was closed while Redis did not answer.
      if (this.#closed) client.disconnect();
      else this.#clients.add(client);
    });
    client.on('end', () => void this.#clients.delete(client));
  }
}

/**
 * Handles every error of a connection, because Node.js ends the process on an unhandled error. ioredis handles only the
 * first error of a connection. A TLS connection may emit two errors: our rejection of the certificate, and the server's
 * answer to that rejection.
 *
 * @param each Called with the client and with each duplicate of the client.
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

/** Calls `each` with the client of a cluster and with each duplicate of this client. */
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
  { serverName }: ClusterSettings,
): ClusterOptions & { readonly redisOptions: Omit<Options, 'enableOfflineQueue' | 'retryStrategy'> } {
  const { retryStrategy: _, enableOfflineQueue = true, ...redisOptions } = options;
  return {
    redisOptions,
    enableOfflineQueue,
    clusterRetryStrategy: retryStrategy,
    slotsRefreshTimeout: COMMAND_MS,
    // Certificates contain host names, so do not resolve the cluster's node names to addresses.
    ...(options.tls === undefined || serverName !== undefined
      ? {}
      : {
          dnsLookup: (host: string, callback: (error: null, found: string) => void) => callback(null, host),
        }),
  };
}
