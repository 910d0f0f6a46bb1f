import type { Duplex } from 'node:stream';
import { Agent, type buildConnector, type Dispatcher, ping, WebSocket } from 'undici';
import { AppError } from '../../core/errors.ts';
import { firstOf } from '../answer.ts';
import { fromNetwork } from './errors.ts';

/** An event is some hundred bytes. */
const MAX_BYTES = 1024 * 1024;

export interface EventSocket extends Disposable {
  /** Of everything that came so far, answers to pings included. */
  readonly bytes: number;
  /** Asks for a sign of life. */
  ping(): void;
  /** Ends when the connection does. */
  readonly closed: Promise<void>;
}

/** What came instead of a stream. */
export interface Declined {
  readonly status: number;
  readonly location: string;
}

export interface EventSocketOptions {
  /** `https` or `http`. */
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly connect: buildConnector.connector;
  readonly onText: (text: string) => void;
}

/**
 * A WebSocket (RFC 6455) as Node has it, of which we also learn how the handshake failed: its own error hides the status
 * and the cause.
 * @throws AppError for what the connection did; the signal's reason once it is aborted.
 */
export async function openEventSocket(
  { url, headers, connect, onText }: EventSocketOptions,
  signal: AbortSignal,
): Promise<EventSocket | Declined> {
  signal.throwIfAborted();
  const agent = new Agent({ connect, webSocket: { maxPayloadSize: MAX_BYTES } });
  const seen: Seen = {};
  const address = new URL(url);
  address.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const dispatcher = agent.compose(
    (dispatch) => (options, handler) => dispatch(options, note(handler, seen)),
  );
  const socket = new WebSocket(address, { headers: { ...headers }, dispatcher });
  const closed = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  const end = (): void => {
    seen.socket?.destroy();
    void agent.destroy();
  };
  socket.addEventListener('message', ({ data }) => {
    if (typeof data === 'string') onText(data);
  });
  socket.addEventListener('open', () => opened.resolve());
  // Without a listener it would be thrown; `close` follows.
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
  if (socket.readyState !== socket.OPEN) return declined(seen);
  return {
    get bytes() {
      const { socket: connection } = seen;
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

interface Seen {
  status?: number;
  location?: string;
  failure?: Error;
  socket?: Duplex;
}

function declined({ status, location = '', failure }: Seen): Declined {
  if (status !== undefined && status !== 101) return { status, location };
  if (failure !== undefined) throw fromNetwork(failure);
  throw new AppError('BAD_ANSWER', { detail: 'it does not speak WebSocket' });
}

function note(handler: Dispatcher.DispatchHandler, seen: Seen): Dispatcher.DispatchHandler {
  return {
    onRequestStart: (controller, context) => handler.onRequestStart?.(controller, context),
    onRequestUpgrade(controller, status, headers, socket) {
      seen.status = status;
      seen.socket = socket;
      handler.onRequestUpgrade?.(controller, status, headers, socket);
    },
    onResponseStart(controller, status, headers, text) {
      seen.status = status;
      seen.location = firstOf(headers.location);
      handler.onResponseStart?.(controller, status, headers, text);
    },
    onResponseData: (controller, chunk) => handler.onResponseData?.(controller, chunk),
    onResponseEnd: (controller, trailers) => handler.onResponseEnd?.(controller, trailers),
    onResponseError(controller, error) {
      seen.failure ??= error;
      handler.onResponseError?.(controller, error);
    },
  };
}
