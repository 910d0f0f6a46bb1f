import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';

/** The faults that any server can have. Each name says what a client observes. */
export const HTTP_FAULTS = [
  'bad request',
  'unauthorized',
  'forbidden',
  'forbidden, in HTML',
  'not found, in HTML',
  'throttled',
  'throttled, for 2 seconds',
  'throttled until a date',
  'throttled, in Latin-1',
  'server error',
  'bad gateway, in HTML',
  'unavailable',
  'unavailable, endless',
  'hang',
  'hang in the body',
  'reset',
  'connection reset in the body',
  'cut',
  'truncated without a length',
  'not HTTP',
  'redirect',
  'html',
  'wrong content type',
  'invalid JSON',
  'another JSON',
  'not UTF-8',
  'empty',
  'endless',
] as const;
export type HttpFault = (typeof HTTP_FAULTS)[number];

export interface Canned {
  readonly status: number;
  readonly body: string | Uint8Array;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const HTML = '<!doctype html><title>Sign in</title><p>Please sign in';

export function html(status: number): Canned {
  return { status, body: HTML, type: 'text/html; charset=utf-8' };
}

/** Faulty answers that look the same for every kind of server. */
export const FORMLESS = {
  'forbidden, in HTML': () => html(403),
  'not found, in HTML': () => html(404),
  'bad gateway, in HTML': () => html(502),
  unavailable: () => ({ status: 503, body: '' }),
  html: () => html(200),
  'another JSON': () => ({ status: 200, body: '{"ok":true}' }),
  'not UTF-8': () => ({ status: 200, body: Uint8Array.of(0x22, 0xff, 0xfe, 0x22) }),
  empty: () => ({ status: 200, body: '' }),
} as const satisfies Partial<Record<HttpFault, () => Canned>>;

/** Returns answers that ask the client to slow down, with each form of `Retry-After`. */
export function laters(throttled: Canned) {
  const after = (text: string): Canned => ({ ...throttled, headers: { 'retry-after': text } });
  return {
    'throttled, for 2 seconds': () => after('2'),
    'throttled until a date': () => after(new Date(Date.now() + 2_000).toUTCString()),
    'throttled, in Latin-1': () => ({
      ...after('2'),
      body: Buffer.from('<p>Trop de requêtes', 'latin1'),
      type: 'text/html; charset=iso-8859-1',
    }),
  } as const satisfies Partial<Record<HttpFault, () => Canned>>;
}

export function sendCanned(outgoing: ServerResponse, { status, body, type, headers }: Canned): void {
  outgoing.writeHead(status, { 'content-type': type ?? 'application/json', ...headers });
  outgoing.end(body);
}

export interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /**
   * Called when the server leaves the request unanswered. A test can then end the request instead of waiting for a
   * timeout.
   */
  readonly onHang: () => void;
}

export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
}

/**
 * Applies a fault that is not a fixed answer.
 * @param answer Returns the real answer, or undefined if there is none. Some faults send a part of it.
 */
export async function applyFault(
  fault: string | undefined,
  { incoming, outgoing, onHang }: Exchange,
  answer: () => Promise<UpstreamAnswer | undefined>,
): Promise<void> {
  if (fault === 'hang') return onHang();
  if (fault === 'reset') return reset(incoming);
  if (fault === 'not HTTP') return void incoming.socket.end('220 mail.example.org ESMTP\r\n');
  if (fault === 'endless') return endless(outgoing, 200);
  if (fault === 'unavailable, endless') return endless(outgoing, 503);
  const whole = await answer();
  if (whole === undefined) return void outgoing.destroy();
  const { status, headers, body } = whole;
  const half = body.subarray(0, Math.floor(body.byteLength / 2));
  if (fault === 'truncated without a length') {
    outgoing.useChunkedEncodingByDefault = false;
    outgoing.writeHead(status, { ...headers, connection: 'close' });
    outgoing.end(half);
    return;
  }
  outgoing.writeHead(status, { ...headers, 'content-length': body.byteLength });
  outgoing.write(half, () => {
    if (fault === 'cut') outgoing.socket?.end();
    if (fault === 'connection reset in the body') reset(incoming);
    if (fault === 'hang in the body') onHang();
  });
}

/**
 * Resets the connection. Node cannot reset the TCP connection below a TLS socket, so a TLS connection is only closed.
 */
function reset({ socket }: IncomingMessage): void {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}

function endless(outgoing: ServerResponse, status: number): void {
  outgoing.writeHead(status, { 'content-type': 'application/json' });
  const chunk = Buffer.alloc(1024 * 1024, 0x20);
  const more = () => {
    while (!outgoing.destroyed && outgoing.write(chunk));
  };
  outgoing.on('drain', more);
  outgoing.on('error', () => undefined);
  more();
}
