import { Socket } from 'node:net';
import type * as Ioredis from 'ioredis';
import type { Redis, RedisOptions, SentinelConnectionOptions } from 'ioredis';
import { ALL_REFUSE, barOf } from './errors.ts';

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
  tell: {
    readonly onFailover: () => void;
    /** None of them will have us, or we them. */
    readonly onTrouble: (thrown: Error) => void;
  },
): readonly Redis[] {
  let master: string | undefined;
  const hear = (message: string): void => {
    // name, address and port of the old one, address and port of the new one.
    const [whose, , , ...now] = message.split(' ');
    // Each sentinel tells of it.
    if (whose !== name || now.join(' ') === master) return;
    master = now.join(' ');
    tell.onFailover();
  };
  const barred = new Set<Redis>();
  const note = (client: Redis, thrown: unknown): void => {
    if (barOf(thrown) === undefined) barred.delete(client);
    else barred.add(client);
    if (barred.size === addresses.length) tell.onTrouble(new Error(ALL_REFUSE, { cause: thrown }));
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
    client.on('error', (thrown) => note(client, thrown));
    client.on('message', (_, message) => hear(message));
    client.on('ready', async () => note(client, await refusalBy(client)));
    return client;
  });
}

/** Listens; the next connection to one that refuses tries again. */
async function refusalBy(sentinel: Redis): Promise<Error | undefined> {
  try {
    await sentinel.subscribe(FAILED_OVER);
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof Error)) throw thrown;
    return thrown;
  }
}
