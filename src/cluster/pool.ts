import { getCACertificates } from 'node:tls';
import { Agent, buildConnector, type Dispatcher, ProxyAgent, Pool as UndiciPool } from 'undici';

/** The connection settings. Two requests with the same settings can share a connection. */
export interface Connection {
  readonly ca?: string | Buffer | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
  readonly servername?: string | undefined;
  /** Default: true, even if NODE_TLS_REJECT_UNAUTHORIZED is set to switch verification off. */
  readonly rejectUnauthorized?: boolean | undefined;
  readonly proxy?: string | undefined;
}

export interface Pool extends AsyncDisposable {
  /**
   * Returns one shared dispatcher for equal settings. A changed certificate creates a new dispatcher and retires the
   * old one.
   */
  dispatcher(connection: Connection): Dispatcher;
}

const CONNECT_TIMEOUT_MS = 10_000;
/**
 * Shorter than the idle timeouts of API servers (90 s) and load balancers (60 s), so that we close an idle connection
 * before the other side closes it.
 */
export const IDLE_MS = 30_000;

/**
 * @param connections The maximum number of open connections; null means no limit.
 * @param connectMs Time limit for opening a connection, and for opening a tunnel through a proxy.
 */
export function createPool(connections: number | null = 32, connectMs = CONNECT_TIMEOUT_MS): Pool {
  let current: { readonly signature: string; readonly dispatcher: Dispatcher } | undefined;
  const retired = new Set<Promise<void>>();

  function retire(dispatcher: Dispatcher): void {
    // `close` waits for pending requests. It rejects only if it is called twice.
    const closing = dispatcher.close().finally(() => retired.delete(closing));
    retired.add(closing);
  }

  return {
    dispatcher(connection) {
      const signature = signatureOf(connection);
      if (current?.signature !== signature) {
        if (current !== undefined) retire(current.dispatcher);
        current = { signature, dispatcher: createDispatcher(connection, connections, connectMs) };
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

function createDispatcher(
  { proxy, ...connection }: Connection,
  connections: number | null,
  connectMs: number,
): Dispatcher {
  // HTTP/2 is off: in undici 8, new requests hang after a GOAWAY while a stream is open.
  const options = { allowH2: false, connections, keepAliveTimeout: IDLE_MS, keepAliveMaxTimeout: IDLE_MS };
  if (!proxy)
    return new Agent({ ...options, connect: createConnector(connection, { allowH2: false, connectMs }) });
  const tls = tlsOptions(connection);
  return new ProxyAgent({
    ...options,
    uri: proxy,
    requestTls: { ...tls, timeout: connectMs },
    proxyTls: { rejectUnauthorized: true },
    // Limits the wait for the response to CONNECT, which has no other time limit. Without this limit, all later
    // requests would wait for that response too.
    clientFactory: (origin, more) => new UndiciPool(origin, { ...more, headersTimeout: connectMs }),
    // Creates the connections through the tunnel, or to the proxy if there is no tunnel.
    factory: (origin, more: UndiciPool.Options) => {
      const { connect } = more;
      return new UndiciPool(
        origin,
        typeof connect === 'function' ? { ...more, connect: keepTlsError(connect) } : more,
      );
    },
  });
}

/** Creates a function that opens connections with these settings, without a proxy. */
export function createConnector(
  connection: Connection,
  { allowH2, connectMs = CONNECT_TIMEOUT_MS }: { readonly allowH2: boolean; readonly connectMs?: number },
): buildConnector.connector {
  const alive = { timeout: connectMs, keepAlive: true, keepAliveInitialDelay: IDLE_MS };
  return keepTlsError(buildConnector({ ...tlsOptions(connection), ...alive, allowH2 }));
}

/**
 * Keeps the TLS error of a rejected client certificate. With TLS 1.3 the server rejects the certificate after the
 * handshake and closes the connection, and undici would report only the close.
 */
function keepTlsError(connect: buildConnector.connector): buildConnector.connector {
  // The connector returns the socket, although its type says nothing of it.
  return (options, callback) =>
    connect(options, (...result) => {
      const [, socket] = result;
      socket?.once('error', (error) => socket.destroy(error));
      callback(...result);
    });
}

function tlsOptions({ ca, cert, key, servername, rejectUnauthorized = true }: Connection): object {
  return {
    // A `ca` replaces all CAs that Node trusts. So add the CAs from NODE_EXTRA_CA_CERTS again.
    ...(ca === undefined ? {} : { ca: [ca, ...getCACertificates('extra')] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(servername === undefined ? {} : { servername }),
    rejectUnauthorized,
  };
}

/** Returns a text that is equal for equal settings. */
export function signatureOf({ ca, cert, key, servername, rejectUnauthorized, proxy }: Connection): string {
  return JSON.stringify(
    [ca, cert, key, servername, rejectUnauthorized, proxy].map((part) => part?.toString() ?? null),
  );
}
