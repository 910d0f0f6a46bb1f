import { getCACertificates } from 'node:tls';
import { Agent, buildConnector, type Dispatcher, ProxyAgent, Pool as UndiciPool } from 'undici';

/** What makes two connections to a server different. */
export interface Connection {
  readonly ca?: string | Buffer | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
  readonly servername?: string | undefined;
  /** Left out: yes, since NODE_TLS_REJECT_UNAUTHORIZED must not switch it off. */
  readonly rejectUnauthorized?: boolean | undefined;
  readonly proxy?: string | undefined;
}

export interface Pool extends AsyncDisposable {
  /** The same dispatcher for the same connection; a changed certificate makes a new one and retires the old. */
  dispatcher(connection: Connection): Dispatcher;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Below the idle limits of API servers (90 s) and load balancers (60 s), so that we close first. */
const IDLE_MS = 30_000;

/**
 * @param connections How many at most are open at a time; null: as many as are wanted.
 * @param connectMs How long a connection may take, and before it a tunnel through a proxy.
 */
export function createPool(connections: number | null = 32, connectMs = CONNECT_TIMEOUT_MS): Pool {
  let current: { readonly signature: string; readonly dispatcher: Dispatcher } | undefined;
  const retired = new Set<Promise<void>>();

  function retire(dispatcher: Dispatcher): void {
    // `close` lets requests that are under way finish; it only rejects if called twice.
    const closing = dispatcher.close().finally(() => retired.delete(closing));
    retired.add(closing);
  }

  return {
    dispatcher(connection) {
      const signature = signatureOf(connection);
      if (current?.signature !== signature) {
        if (current !== undefined) retire(current.dispatcher);
        current = { signature, dispatcher: open(connection, connections, connectMs) };
      }
      return current.dispatcher;
    },
    async [Symbol.asyncDispose]() {
      if (current !== undefined) retire(current.dispatcher);
      current = undefined;
      await Promise.all(retired);
    },
  };
}

function open(
  { proxy, ...connection }: Connection,
  connections: number | null,
  connectMs: number,
): Dispatcher {
  const tls = tlsOptions(connection);
  // HTTP/2 in undici 8: after a GOAWAY with a stream open, new requests hang.
  const options = { allowH2: false, connections, keepAliveTimeout: IDLE_MS, keepAliveMaxTimeout: IDLE_MS };
  if (!proxy) {
    const alive = { timeout: connectMs, keepAlive: true, keepAliveInitialDelay: IDLE_MS };
    const connect = buildConnector({ ...tls, ...alive, allowH2: false });
    return new Agent({ ...options, connect: withReason(connect) });
  }
  return new ProxyAgent({
    ...options,
    uri: proxy,
    requestTls: { ...tls, timeout: connectMs },
    proxyTls: { rejectUnauthorized: true },
    // For the answer to CONNECT, which nothing else bounds: all that comes after it waits for the same one.
    clientFactory: (origin, more) => new UndiciPool(origin, { ...more, headersTimeout: connectMs }),
    // Its connections are through the tunnel, or to the proxy where there is none.
    factory: (origin, more: UndiciPool.Options) => {
      const { connect } = more;
      return new UndiciPool(
        origin,
        typeof connect === 'function' ? { ...more, connect: withReason(connect) } : more,
      );
    },
  });
}

/**
 * With TLS 1.3 a server refuses our certificate, or asks for one, when the handshake is done, and closes. Of the two
 * undici would keep the closing.
 */
function withReason(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) =>
    connect(options, (...result) => {
      const [, socket] = result;
      socket?.once('error', (error) => socket.destroy(error));
      callback(...result);
    });
}

function tlsOptions({ ca, cert, key, servername, rejectUnauthorized = true }: Connection): object {
  return {
    // A `ca` replaces Node's own list, and with it what NODE_EXTRA_CA_CERTS adds.
    ...(ca === undefined ? {} : { ca: [ca, ...getCACertificates('extra')] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(servername === undefined ? {} : { servername }),
    rejectUnauthorized,
  };
}

function signatureOf({ ca, cert, key, servername, rejectUnauthorized, proxy }: Connection): string {
  return JSON.stringify(
    [ca, cert, key, servername, rejectUnauthorized, proxy].map((part) => part?.toString() ?? null),
  );
}
