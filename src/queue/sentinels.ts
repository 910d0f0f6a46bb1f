import { Socket } from 'node:net';
import { Redis, type RedisOptions, type SentinelConnectionOptions, SentinelConnector } from 'ioredis';
import { ALL_SENTINELS_REFUSE, sentinelRefusalOf } from './redis-errors.ts';

export interface SentinelsOptions {
  /** The name of the master. */
  readonly name: string;
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  readonly password?: string | undefined;
  readonly tls?: RedisOptions['tls'];
  /** Connection timeout for each sentinel. */
  readonly timeoutMs: number;
  readonly retryStrategy: (times: number) => number;
}

const FAILED_OVER = '+switch-master';

/** Options that make a client look up the master on each connection. */
export function throughSentinels({
  name,
  addresses,
  password,
  tls,
  timeoutMs,
}: SentinelsOptions): RedisOptions {
  return {
    name,
    sentinels: [...addresses],
    sentinelCommandTimeout: timeoutMs,
    sentinelRetryStrategy: () => null,
    Connector: PatientConnector,
    ...(password === undefined ? {} : { sentinelPassword: password }),
    ...(tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: tls }),
  };
}

type Connect = SentinelConnector['connect'];

/**
 * If a connection attempt fails before it has a socket, ioredis stops reconnecting. Such a failure occurs when no
 * sentinel knows the master, or when a reconnect is requested during the lookup. Returning a destroyed socket makes
 * ioredis reconnect.
 */
class PatientConnector extends SentinelConnector {
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
  }

  override async connect(listeners: Parameters<Connect>[0]): ReturnType<Connect> {
    try {
      return await super.connect(listeners);
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown;
      listeners('error', thrown);
      // ioredis would report `firstError` as the error of the destroyed socket, but this error belongs to the previous
      // connection.
      delete this.firstError;
      this.stream = new Socket().destroy();
      return this.stream;
    }
  }
}

/**
 * Reports each failover once. The failover detector of ioredis is not used, because it logs every unreachable sentinel
 * to the console. It also ignores a sentinel for good once that sentinel was down.
 */
export function watchFailovers(
  { name, addresses, password, tls, timeoutMs, retryStrategy }: SentinelsOptions,
  listeners: {
    readonly onFailover: () => void;
    /** Called when every sentinel refuses the connection or has a certificate that we reject. */
    readonly onError: (thrown: Error) => void;
  },
): readonly Redis[] {
  let master: string | undefined;
  const onMessage = (message: string): void => {
    // The message contains the master's name, then the old address and port, then the new address and port.
    const [whose, , , ...now] = message.split(' ');
    // Every sentinel reports the same failover, so ignore repeated reports.
    if (whose !== name || now.join(' ') === master) return;
    master = now.join(' ');
    listeners.onFailover();
  };
  const refusing = new Set<Redis>();
  const trackRefusal = (client: Redis, thrown: unknown): void => {
    if (sentinelRefusalOf(thrown) === undefined) refusing.delete(client);
    else refusing.add(client);
    if (refusing.size === addresses.length)
      listeners.onError(new Error(ALL_SENTINELS_REFUSE, { cause: thrown }));
  };
  return addresses.map((address) => {
    const client = new Redis({
      ...address,
      ...(password === undefined ? {} : { password }),
      ...(tls === undefined ? {} : { tls }),
      replyMapping: 'legacy',
      connectTimeout: timeoutMs,
      commandTimeout: timeoutMs,
      keepAlive: 10_000,
      disableClientInfo: true,
      enableReadyCheck: false,
      autoResubscribe: false,
      retryStrategy,
    });
    // Other errors need no report. If no sentinel reports a failover, a closed connection or a READONLY reply reveals
    // the failover.
    client.on('error', (thrown) => trackRefusal(client, thrown));
    client.on('message', (_, message) => onMessage(message));
    client.on('ready', async () => trackRefusal(client, await subscribeError(client)));
    return client;
  });
}

/**
 * Subscribes to failover messages. Returns the error if the sentinel refuses the subscription. The next connection to
 * the sentinel subscribes again.
 */
async function subscribeError(sentinel: Redis): Promise<Error | undefined> {
  try {
    await sentinel.subscribe(FAILED_OVER);
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof Error)) throw thrown;
    return thrown;
  }
}
