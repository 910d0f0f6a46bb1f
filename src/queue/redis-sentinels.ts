import { Socket } from 'node:net';
import type * as Ioredis from 'ioredis';
import type { Redis, RedisOptions, SentinelConnectionOptions } from 'ioredis';

export interface SentinelsOptions {
  /** Of the master. */
  readonly name: string;
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  readonly password?: string | undefined;
  readonly tls?: RedisOptions['tls'];
  /** Of each connection to a sentinel. */
  readonly timeoutMs: number;
  readonly retryStrategy: (times: number) => number;
}

const FAILED_OVER = '+switch-master';

/** What makes a connection look for its master, each time that it is made. */
export function throughSentinels(
  { SentinelConnector }: typeof Ioredis,
  { name, addresses, password, tls, timeoutMs }: SentinelsOptions,
): RedisOptions {
  type Connect = (typeof SentinelConnector)['prototype']['connect'];
  /**
   * The client takes a connection that could not be begun for one that is wanted no more, and ends for good: where no
   * sentinel knows the master, and where it is to be made anew while it still asks them. One that is lost is made anew.
   */
  class PatientConnector extends SentinelConnector {
    constructor(options: unknown) {
      super(options as SentinelConnectionOptions);
    }

    override async connect(tell: Parameters<Connect>[0]): ReturnType<Connect> {
      try {
        return await super.connect(tell);
      } catch (thrown) {
        if (!(thrown instanceof Error)) throw thrown;
        tell('error', thrown);
        // Of the connection before.
        delete this.firstError;
        this.stream = new Socket().destroy();
        return this.stream;
      }
    }
  }
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

/**
 * Tells of each failover that a sentinel tells of, once. The client has a detector of its own, which writes on the console
 * for each sentinel that is away, and listens to none again that was.
 */
export function watchFailovers(
  ioredis: typeof Ioredis,
  { name, addresses, password, tls, timeoutMs, retryStrategy }: SentinelsOptions,
  onFailover: () => void,
): readonly Redis[] {
  let master: string | undefined;
  const hear = (message: string): void => {
    // name, address and port of the old one, address and port of the new one.
    const [whose, , , ...now] = message.split(' ');
    // Each sentinel tells of it.
    if (whose !== name || now.join(' ') === master) return;
    master = now.join(' ');
    onFailover();
  };
  return addresses.map((address) => {
    const client = new ioredis.Redis({
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
    // Where none tells, the end of a connection does, or what a replica refuses.
    client.on('error', () => undefined);
    client.on('message', (_, message) => hear(message));
    client.on('ready', () => void listen(client));
    return client;
  });
}

async function listen(client: Redis): Promise<void> {
  try {
    await client.subscribe(FAILED_OVER);
  } catch (thrown) {
    // It refuses, or has gone: the next connection to it tries again.
    if (!(thrown instanceof Error)) throw thrown;
  }
}
