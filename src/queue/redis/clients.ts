import { getCACertificates } from 'node:tls';
import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import { AppError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { readAuthorities, readPem } from '../../core/small-file.ts';
import { READONLY, refusalOf } from './errors.ts';
import { type SentinelsOptions, throughSentinels, watchFailovers } from './sentinels.ts';

/** Paths of PEM files, read once. */
export interface RedisTls {
  /** Authorities to trust as well. */
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The name that the certificate must carry. */
  readonly serverName?: string | undefined;
}

export interface RedisAddress {
  /** `redis://` or `rediss://`, with user, password and number of the database. */
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

/** Answers look the same whichever protocol was agreed on. */
type Options = RedisOptions & { readonly replyMapping: 'legacy' };

export interface RedisClients {
  /** Refuses at once without a connection, and soon without an answer. */
  readonly quick: Client;
  /** Waits for the connection as long as it takes, as BullMQ's worker wants it. */
  patient(): Client;
  readonly subscriber: Client;
  close(): void;
}

/** What a quick command may take. */
export const COMMAND_MS = 2_000;
/** BullMQ's blocking command waits for up to 10 s, and then there is an answer. */
const SILENCE_MS = 20_000;
const LONGEST_RETRY_MS = 2_000;

/** Connects in the background; `onTrouble` is told what goes wrong, as the vendor throws it. */
export async function openClients(
  address: RedisAddress,
  onTrouble: (thrown: unknown) => void,
): Promise<RedisClients> {
  const ioredis = await import('ioredis');
  const { host, port, secure, options } = connection(address);
  const tls = secure ? await tlsOptions(address.tls) : undefined;
  const opened: Client[] = [];
  // The connections that ask for the slots say why there is none, and the cluster only that. Of what one node refuses, the
  // command tells for which it does.
  const onNodeTrouble = (thrown: unknown): void => {
    if (refusalOf(thrown) === undefined) onTrouble(thrown);
  };
  const living = new Set<Redis>();
  const live = (client: Redis): void => {
    living.add(client);
    client.on('connecting', () => void living.add(client));
    client.on('end', () => void living.delete(client));
  };
  const sentinels = address.sentinel && sentinelsOf(address.sentinel, tls);
  const found = sentinels === undefined ? { host, port } : throughSentinels(ioredis, sentinels);

  const open = (own: RedisOptions): Client => {
    const all: Options = {
      ...options,
      ...own,
      ...(tls === undefined ? {} : { tls }),
      replyMapping: 'legacy',
    };
    const client = address.cluster
      ? new ioredis.Cluster([{ host, port }], clusterOptions(all, address))
      : new ioredis.Redis({ ...all, ...found, replyMapping: 'legacy' as const });
    client.on('error', onTrouble);
    if (address.cluster) {
      client.on('node error', onTrouble);
      client.on('+node', (node: Redis) => hearAllErrors(node, (it) => it.on('error', onNodeTrouble)));
    } else hearAllErrors(client as Redis, live);
    opened.push(client);
    return client;
  };
  if (sentinels !== undefined) {
    const onFailover = (): void => {
      for (const client of living) client.disconnect(true);
    };
    const watching = watchFailovers(ioredis, sentinels, { onFailover, onTrouble });
    for (const client of watching) hearAllErrors(client);
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
    // ioredis would subscribe anew by itself, and hear no refusal: Node ends the process for one that nobody hears.
    subscriber: open({
      maxRetriesPerRequest: null,
      socketTimeout: SILENCE_MS,
      autoResubscribe: false,
    }),
    patient: () => open({ maxRetriesPerRequest: null, socketTimeout: SILENCE_MS }),
    close() {
      for (const client of opened) client.disconnect();
    },
  };
}

/**
 * ioredis listens for one error of a connection. One with TLS may have two, our refusal of a certificate and what the
 * server says to that, and Node ends the process for an error that nobody hears.
 * @param each Told of it and of each copy of it.
 */
function hearAllErrors(client: Redis, each: (client: Redis) => void = ignore): void {
  each(client);
  const hear = (): void => {
    const { stream } = client;
    if (stream !== undefined && !stream.listeners('error').includes(ignore)) stream.on('error', ignore);
  };
  // By then the connection is begun, and nothing can have come of it. Behind sentinels it begins later.
  client.on('connecting', () => void setImmediate(hear));
  client.on('error', hear);
  // BullMQ makes copies for what blocks.
  const duplicate = client.duplicate.bind(client);
  client.duplicate = (override) => {
    const copy = duplicate(override);
    hearAllErrors(copy, each);
    return copy;
  };
}

function ignore(): void {
  // The first one was told.
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
  if (address.cluster && Number(db) !== 0) throw badUrl('a cluster has the database 0 only');
  const secure = url.protocol === 'rediss:' || address.tls !== undefined;
  // A name in brackets is an IPv6 address.
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
      // A replica that was the master: the next connection leads to the new one. A script of Redis 6 says so within.
      reconnectOnError: (error) => refusalOf(error) === READONLY,
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
  return new AppError('CONFIG_INVALID', { about: 'engine.url', detail: why });
}

/** With jitter, so that the replicas do not come back all at once. */
function retryStrategy(times: number): number {
  return Math.min(100 * 2 ** Math.min(times, 8), LONGEST_RETRY_MS) * (0.5 + Math.random() / 2);
}

type TlsOptions = NonNullable<RedisOptions['tls']>;

async function tlsOptions({ caFile, certFile, keyFile, serverName }: RedisTls = {}): Promise<TlsOptions> {
  const file = { code: 'CREDENTIAL_MISSING', about: 'engine.tls' } as const;
  return {
    rejectUnauthorized: true, // NODE_TLS_REJECT_UNAUTHORIZED must not switch it off
    // Given ones stand beside those that this process trusts anyway.
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
    // Certificates name hosts: what the cluster calls its nodes must not become addresses before they are checked.
    ...(options.tls === undefined || tls?.serverName !== undefined
      ? {}
      : {
          dnsLookup: (host: string, callback: (error: null, found: string) => void) => callback(null, host),
        }),
  };
}
