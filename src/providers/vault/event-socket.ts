import type { Duplex } from 'node:stream';
import { Agent, type buildConnector, type Dispatcher, ping, WebSocket } from 'undici';
import { AppError } from '../../core/errors.ts';
import { firstHeaderValue } from '../answer.ts';
import { fromNetwork } from './errors.ts';

/** The maximum size of an event. An event usually has a few hundred bytes. */
const MAX_BYTES = 1024 * 1024;

export interface EventSocket extends Disposable {
  /** The number of bytes received so far, including responses to pings. */
  readonly bytes: number;
  /** Sends a ping. */
  ping(): void;
  /** Resolves when the connection ends. */
  readonly closed: Promise<void>;
}

/** The response of a server that declined the upgrade to a WebSocket. */
export interface DeclinedUpgrade {
  readonly status: number;
  readonly location: string;
}

export interface EventSocketOptions {
  /** An `https` or `http` URL. */
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly connect: buildConnector.connector;
  readonly onText: (text: string) => void;
}

/**
 * Opens a WebSocket (RFC 6455). Watches the handshake too, because the errors of Node's WebSocket hide its status and
 * the cause of a failure.
 * @throws AppError for connection errors.
 * @throws The signal's reason once it is aborted.
 */
export async function openEventSocket(
  { url, headers, connect, onText }: EventSocketOptions,
  signal: AbortSignal,
): Promise<EventSocket | DeclinedUpgrade> {
  signal.throwIfAborted();
  const agent = new Agent({ connect, webSocket: { maxPayloadSize: MAX_BYTES } });
  const handshake: Handshake = {};
  const address = new URL(url);
  address.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const dispatcher = agent.compose(
    (dispatch) => (options, handler) => dispatch(options, observeHandshake(handler, handshake)),
  );
  const socket = new WebSocket(address, { headers: { ...headers }, dispatcher });
  const closed = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  const end = (): void => {
    handshake.socket?.destroy();
    void agent.destroy();
  };
  socket.addEventListener('message', ({ data }) => {
    if (typeof data === 'string') onText(data);
  });
  socket.addEventListener('open', () => opened.resolve());
  // Without a listener, Node would throw the error. It needs no action, because a `close` event always follows.
  socket.addEventListener('error', () => undefined);
  socket.addEventListener('close', () => {
    closed.resolve();
    opened.resolve();
    end();
  });
  const onAbort = (): void => {
    opened.reject(signal.reason);
    end();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await opened.promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  if (socket.readyState !== socket.OPEN) return declined(handshake);
  return {
    get bytes() {
      const { socket: connection } = handshake;
      return connection !== undefined && 'bytesRead' in connection ? Number(connection.bytesRead) : 0;
    },
    ping() {
      if (socket.readyState === socket.OPEN) ping(socket);
    },
    closed: closed.promise,
    [Symbol.dispose]() {
      socket.close();
      end();
    },
  };
}

interface Handshake {
  status?: number;
  location?: string;
  failure?: Error;
  socket?: Duplex;
}

function declined({ status, location = '', failure }: Handshake): DeclinedUpgrade {
  if (status !== undefined && status !== 101) return { status, location };
  if (failure !== undefined) throw fromNetwork(failure);
  throw new AppError('BAD_ANSWER', { detail: 'it does not support WebSocket' });
}

function observeHandshake(
  handler: Dispatcher.DispatchHandler,
  handshake: Handshake,
): Dispatcher.DispatchHandler {
  return {
    onRequestStart: (controller, context) => handler.onRequestStart?.(controller, context),
    onRequestUpgrade(controller, status, headers, socket) {
      handshake.status = status;
      handshake.socket = socket;
      handler.onRequestUpgrade?.(controller, status, headers, socket);
    },
    onResponseStart(controller, status, headers, text) {
      handshake.status = status;
      handshake.location = firstHeaderValue(headers.location);
      handler.onResponseStart?.(controller, status, headers, text);
    },
    onResponseData: (controller, chunk) => handler.onResponseData?.(controller, chunk),
    onResponseEnd: (controller, trailers) => handler.onResponseEnd?.(controller, trailers),
    onResponseError(controller, error) {
      handshake.failure ??= error;
      handler.onResponseError?.(controller, error);
    },
  };
}
