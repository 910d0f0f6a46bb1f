import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { request } from 'undici';
import { unlessAborted } from '../core/abort.ts';
import { type Connection, createConnector, createPool, IDLE_MS, signatureOf } from './pool.ts';

export interface StreamRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly signal: AbortSignal;
}

export interface StreamResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: AsyncIterable<Uint8Array>;
}

/** The connections of watches. */
export interface StreamPool extends AsyncDisposable {
  /** Sends a GET request. The response may last for minutes. */
  open(connection: Connection, request: StreamRequest): Promise<StreamResponse>;
}

/**
 * The highest number of streams of one connection. API servers allow 100 by default. A larger number would end more
 * watches when a connection breaks.
 */
const MAX_STREAMS = 100;
/** Not all streams, because a server may count a stream for a moment longer than we do, and would reject the next one. */
const SHARE_OF_STREAMS = 0.9;
/** The bytes that the server may send before we have read them. The default of 64 KiB would delay events over long ways. */
const STREAM_WINDOW = 256 * 1024;
const CONNECTION_WINDOW = 4 * 1024 * 1024;
/** The time limit for the first frame of the server, which contains its settings. */
const SETTINGS_MS = 10_000;
/** A connection is dead if it does not answer a ping before the next one is due. */
const PING_MS = 15_000;
/** For this long, a server that chose HTTP/1.1 is not asked again. */
const HTTP1_MS = 10 * 60_000;

/**
 * Creates connections that carry up to 90 watches each, with HTTP/2. If the server chooses HTTP/1.1 in the TLS
 * handshake, and for addresses without TLS or behind a proxy, each watch has a connection of its own. Uses `node:http2`,
 * because undici 8 opens no new stream after a GOAWAY frame while a watch is open on the same connection.
 */
export function createStreamPool({ pingMs = PING_MS }: { readonly pingMs?: number } = {}): StreamPool {
  return new MultiplexedPool(pingMs);
}

class MultiplexedPool implements StreamPool {
  readonly #http1 = createPool(null);
  readonly #retired = new Set<Connections>();
  readonly #pingMs: number;
  #current: Connections | undefined;

  constructor(pingMs: number) {
    this.#pingMs = pingMs;
  }

  async open(connection: Connection, streamRequest: StreamRequest): Promise<StreamResponse> {
    const { url, headers, signal } = streamRequest;
    if (connection.proxy === undefined && url.startsWith('https:')) {
      const multiplexed = await this.#connectionsFor(connection).reserve(new URL(url).origin, signal);
      if (multiplexed !== 'http1') return multiplexed.open(streamRequest);
    }
    // There is no body timeout, because the reader of the stream detects a silent connection itself.
    const options = { headers, signal, dispatcher: this.#http1.dispatcher(connection), bodyTimeout: 0 };
    return request(url, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#retire();
    await Promise.all([...this.#retired].map((connections) => connections[Symbol.asyncDispose]()));
    await this.#http1[Symbol.asyncDispose]();
  }

  /** A changed certificate retires the old connections. They end with their last watch. */
  #connectionsFor(connection: Connection): Connections {
    const signature = signatureOf(connection);
    if (this.#current?.signature === signature) return this.#current;
    this.#retire();
    this.#current = new Connections(connection, signature, this.#pingMs);
    return this.#current;
  }

  #retire(): void {
    const retired = this.#current;
    this.#current = undefined;
    if (retired === undefined) return;
    this.#retired.add(retired);
    void retired[Symbol.asyncDispose]().then(() => this.#retired.delete(retired));
  }
}

/** The HTTP/2 connections with the same settings. */
class Connections implements AsyncDisposable {
  readonly signature: string;
  readonly #connection: Connection;
  readonly #pingMs: number;
  readonly #open = new Set<Http2Connection>();
  readonly #disposal = new AbortController();
  #opening: Promise<Http2Connection | 'http1'> | undefined;
  #http1Until = 0;

  constructor(connection: Connection, signature: string, pingMs: number) {
    this.#connection = connection;
    this.signature = signature;
    this.#pingMs = pingMs;
  }

  /** Returns a connection with one stream reserved. Returns `http1` if the server does not speak HTTP/2. */
  async reserve(origin: string, signal: AbortSignal): Promise<Http2Connection | 'http1'> {
    for (;;) {
      if (performance.now() < this.#http1Until) return 'http1';
      const free = [...this.#open].find((connection) => connection.reserve());
      if (free !== undefined) return free;
      // All waiting requests share the next connection, and then look for a free stream again.
      this.#opening ??= this.#openOne(origin).finally(() => {
        this.#opening = undefined;
      });
      if ((await unlessAborted(this.#opening, signal)) === 'http1') return 'http1';
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposal.abort(brokenConnection());
    await Promise.all([...this.#open].map((connection) => connection.close()));
  }

  async #openOne(origin: string): Promise<Http2Connection | 'http1'> {
    const { signal } = this.#disposal;
    const socket = await connectSocket(this.#connection, origin, signal);
    if (socket.alpnProtocol !== 'h2') {
      socket.destroy();
      this.#http1Until = performance.now() + HTTP1_MS;
      return 'http1';
    }
    const settings = { enablePush: false, initialWindowSize: STREAM_WINDOW };
    const session = connect(origin, { createConnection: () => socket, settings });
    try {
      const connection = new Http2Connection(session, await unlessAborted(maxStreamsOf(session), signal));
      session.setLocalWindowSize(CONNECTION_WINDOW);
      pingRegularly(session, this.#pingMs);
      this.#open.add(connection);
      session.once('close', () => this.#open.delete(connection));
      return connection;
    } catch (error) {
      session.destroy();
      throw error;
    }
  }
}

class Http2Connection {
  readonly #session: ClientHttp2Session;
  readonly #maxStreams: number;
  #streams = 0;
  #isClosing = false;
  #idle: NodeJS.Timeout | undefined;

  constructor(session: ClientHttp2Session, maxStreams: number) {
    this.#session = session;
    this.#maxStreams = maxStreams;
  }

  /** Reserves a stream. Returns false if there is none, or if the server ends the connection (GOAWAY). */
  reserve(): boolean {
    const { closed, destroyed } = this.#session;
    if (closed || destroyed || this.#isClosing || this.#streams >= this.#maxStreams) return false;
    this.#streams += 1;
    clearTimeout(this.#idle);
    return true;
  }

  /** Opens the reserved stream. Resolves when the response starts. */
  async open({ url, headers, signal }: StreamRequest): Promise<StreamResponse> {
    const { pathname, search } = new URL(url);
    const stream = this.#request({ ...headers, ':method': 'GET', ':path': pathname + search }, signal);
    const started = Promise.withResolvers<IncomingHttpHeaders & { readonly ':status'?: number }>();
    stream.once('response', started.resolve);
    // This listener stays, because the reader of the body may start later than an error arrives.
    stream.on('error', started.reject);
    stream.once('close', () => started.reject(brokenConnection()));
    try {
      const { ':status': statusCode = 0, ...received } = await started.promise;
      return { statusCode, headers: received, body: bodyOf(stream) };
    } catch (error) {
      // With the reason of the abort, the caller can tell its time limit from its own end.
      throw signal.aborted ? signal.reason : error;
    }
  }

  #request(headers: OutgoingHttpHeaders, signal: AbortSignal): ClientHttp2Stream {
    try {
      const stream = this.#session.request(headers, { endStream: true, signal });
      return stream.once('close', () => this.#release());
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** Ends the connection after its last stream. */
  async close(): Promise<void> {
    if (this.#session.destroyed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#session.once('close', resolve);
    this.#isClosing = true;
    this.#endWithoutStreams();
    await promise;
  }

  #release(): void {
    this.#streams -= 1;
    if (this.#isClosing) this.#endWithoutStreams();
    else if (this.#streams === 0) this.#idle = setTimeout(() => void this.close(), IDLE_MS).unref();
  }

  /** Does not use `close` of the session, because `close` would wait for the server, which may be dead. */
  #endWithoutStreams(): void {
    clearTimeout(this.#idle);
    if (this.#streams === 0) this.#session.destroy();
  }
}

function bodyOf(stream: ClientHttp2Stream): StreamResponse['body'] {
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    yield* stream;
    // If the connection is closed, Node ends the stream like a complete one. Only its code shows the difference.
    if (!stream.destroyed) await new Promise((resolve) => stream.once('close', resolve));
    if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) throw brokenConnection();
  };
  return { [Symbol.asyncIterator]: chunks };
}

async function connectSocket(
  connection: Connection,
  origin: string,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const { hostname, host, protocol, port } = new URL(origin);
  const connector = createConnector(connection, { allowH2: true });
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const connecting: unknown = connector({ hostname, host, protocol, port }, (error, socket) => {
    if (error === null) resolve(socket as TLSSocket);
    else reject(error);
  });
  try {
    return await unlessAborted(promise, signal);
  } catch (error) {
    if (connecting instanceof Socket) connecting.destroy();
    throw error;
  }
}

/** Waits for the settings of the server. */
async function maxStreamsOf(session: ClientHttp2Session): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const timer = setTimeout(() => session.destroy(brokenConnection()), SETTINGS_MS);
  session.once('remoteSettings', ({ maxConcurrentStreams = MAX_STREAMS }) =>
    resolve(Math.max(1, Math.floor(SHARE_OF_STREAMS * Math.min(MAX_STREAMS, maxConcurrentStreams)))),
  );
  // This listener stays, because each stream gets the error of its connection too.
  session.on('error', reject);
  session.once('close', () => reject(brokenConnection()));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

function pingRegularly(session: ClientHttp2Session, everyMs: number): void {
  let isUnanswered = false;
  const ping = () => {
    if (session.destroyed) return;
    if (isUnanswered) return void session.destroy(brokenConnection());
    isUnanswered = session.ping(() => {
      isUnanswered = false;
    });
  };
  // If this process was busy, the answer may wait to be received. It is received before the immediate callback.
  const timer = setInterval(() => setImmediate(ping), everyMs).unref();
  session.once('close', () => clearInterval(timer));
}

function brokenConnection(): Error {
  return Object.assign(new Error('the connection was cut'), { code: 'ECONNRESET' });
}
