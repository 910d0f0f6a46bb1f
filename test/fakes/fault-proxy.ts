import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bodyOf } from './body.ts';

/** What goes wrong between us and a server, as it looks from our side. */
export const FAULTS = [
  'bad request',
  'unauthorized',
  'forbidden',
  'forbidden, in HTML',
  'wrong mount',
  'not found, in HTML',
  'not allowed',
  'not up to date',
  'throttled',
  'throttled, for 2 seconds',
  'throttled, until a date',
  'throttled, for an hour',
  'throttled, in Latin-1',
  'standby',
  'server error',
  'bad gateway, in HTML',
  'unavailable',
  'unavailable, for 2 seconds',
  'unavailable, endless',
  'sealed',
  'sealed, as its health says',
  'hang',
  'hang in the body',
  'reset',
  'reset in the body',
  'cut',
  'cut, without a length',
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
export type Fault = (typeof FAULTS)[number];

export interface FaultProxy extends AsyncDisposable {
  readonly address: string;
  /** From now on, for the requests whose path matches; undefined: none. */
  set(fault: Fault | undefined, path?: RegExp): void;
  /** All that came in, with their headers: to see what was sent where. */
  readonly requests: readonly {
    readonly method: string;
    readonly path: string;
    readonly headers: IncomingMessage['headers'];
  }[];
  /** Called when a request will not be answered, so that a test need not wait for its time limit. */
  onHang: () => void;
  /** Resolves when a request that matches has come in. */
  arrival(path: RegExp): Promise<void>;
}

interface Canned {
  readonly status: number;
  readonly body: string | Uint8Array;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const HTML = '<!doctype html><title>Sign in</title><p>Please sign in';
const errors = (...texts: readonly string[]) => JSON.stringify({ errors: texts });
const html = (status: number): Canned => ({ status, body: HTML, type: 'text/html; charset=utf-8' });
const throttled = (after: string): Canned => ({
  status: 429,
  body: errors('slow'),
  headers: { 'retry-after': after },
});

const CANNED: Partial<Record<Fault, () => Canned>> = {
  'bad request': () => ({ status: 400, body: errors('bad request') }),
  unauthorized: () => ({ status: 401, body: errors('unauthorized') }),
  forbidden: () => ({ status: 403, body: errors('1 error occurred:\n\t* permission denied\n\n') }),
  'forbidden, in HTML': () => html(403),
  'wrong mount': () => ({ status: 404, body: errors('no handler for route "x". route entry not found.') }),
  'not found, in HTML': () => html(404),
  'not allowed': () => ({ status: 405, body: errors('1 error occurred:\n\t* unsupported operation\n\n') }),
  'not up to date': () => ({ status: 412, body: errors('required index state not present') }),
  throttled: () => ({ status: 429, body: errors('request path "x": rate limit quota exceeded') }),
  'throttled, for 2 seconds': () => throttled('2'),
  'throttled, until a date': () => throttled(new Date(Date.now() + 2_000).toUTCString()),
  'throttled, for an hour': () => throttled('3600'),
  'throttled, in Latin-1': () => ({
    ...throttled('2'),
    body: Buffer.from('<p>Trop de requêtes', 'latin1'),
    type: 'text/html; charset=iso-8859-1',
  }),
  standby: () => ({ status: 473, body: errors('standby') }),
  'server error': () => ({ status: 500, body: errors('1 error occurred:\n\t* internal error\n\n') }),
  'bad gateway, in HTML': () => html(502),
  unavailable: () => ({ status: 503, body: '' }),
  'unavailable, for 2 seconds': () => ({ ...html(503), headers: { 'retry-after': '2' } }),
  sealed: () => ({ status: 503, body: errors('Vault is sealed') }),
  'sealed, as its health says': () => ({ status: 503, body: '{"initialized":true,"sealed":true}' }),
  redirect: () => ({ status: 307, body: '', headers: { location: 'http://127.0.0.1:9/v1/elsewhere' } }),
  html: () => html(200),
  'wrong content type': () => ({
    status: 200,
    body: '{"data":{"data":{"a":"1"},"metadata":{"version":1}}}',
    type: 'text/plain',
  }),
  'invalid JSON': () => ({ status: 200, body: '{"data":{"data":{"a":"1"}' }),
  'another JSON': () => ({ status: 200, body: '{"ok":true}' }),
  'not UTF-8': () => ({ status: 200, body: Uint8Array.of(0x22, 0xff, 0xfe, 0x22) }),
  empty: () => ({ status: 200, body: '' }),
};

/** A proxy before a real server that passes everything on, until it is told to do wrong. */
export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const requests: FaultProxy['requests'][number][] = [];
  const waiting = new Set<{ path: RegExp; resolve: () => void }>();
  let fault: Fault | undefined;
  let only: RegExp | undefined;

  const server = createServer((incoming, outgoing) => {
    const path = incoming.url ?? '/';
    requests.push({ method: incoming.method ?? '', path, headers: incoming.headers });
    for (const waiter of waiting) if (waiter.path.test(path)) waiter.resolve();
    const applies = fault !== undefined && (only?.test(path) ?? true);
    if (applies && fault !== undefined) misbehave(fault, upstream, incoming, outgoing, () => proxy.onHang());
    else
      forward(upstream, incoming, outgoing, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const proxy: FaultProxy = {
    onHang: () => undefined,
    address: `http://127.0.0.1:${port}`,
    requests,
    set(next, path) {
      fault = next;
      only = path;
    },
    arrival(path) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.add({ path, resolve });
      return promise;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}

function misbehave(
  fault: Fault,
  upstream: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  onHang: () => void,
): void {
  const canned = CANNED[fault]?.();
  if (canned !== undefined) {
    outgoing.writeHead(canned.status, {
      'content-type': canned.type ?? 'application/json',
      ...canned.headers,
    });
    outgoing.end(canned.body);
    return;
  }
  switch (fault) {
    case 'hang':
      onHang();
      return;
    case 'reset':
      incoming.socket.resetAndDestroy();
      return;
    case 'not HTTP':
      incoming.socket.end('220 mail.example.org ESMTP\r\n');
      return;
    case 'endless':
    case 'unavailable, endless':
      endless(outgoing, fault === 'endless' ? 200 : 503);
      return;
    default:
      forward(upstream, incoming, outgoing, (answer) => void cutShort(fault, answer, outgoing, onHang));
  }
}

/** Sends the true answer, but not the end of it. */
async function cutShort(
  fault: Fault,
  answer: IncomingMessage,
  outgoing: ServerResponse,
  onHang: () => void,
): Promise<void> {
  const body = await bodyOf(answer);
  if (body === undefined) return void outgoing.destroy();
  const half = body.subarray(0, Math.floor(body.byteLength / 2));
  const { 'content-length': _, 'transfer-encoding': __, ...headers } = answer.headers;
  const status = answer.statusCode ?? 502;
  if (fault === 'cut, without a length') {
    outgoing.writeHead(status, { ...headers, connection: 'close' });
    outgoing.useChunkedEncodingByDefault = false;
    outgoing.end(half);
    return;
  }
  outgoing.writeHead(status, { ...headers, 'content-length': body.byteLength });
  outgoing.write(half, () => {
    if (fault === 'cut') outgoing.socket?.end();
    if (fault === 'reset in the body') outgoing.socket?.resetAndDestroy();
    if (fault === 'hang in the body') onHang();
  });
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

function forward(
  upstream: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  then: (answer: IncomingMessage) => void,
): void {
  const { host: _, ...headers } = incoming.headers;
  const call = request(
    new URL(incoming.url ?? '/', upstream),
    { method: incoming.method ?? 'GET', headers },
    then,
  );
  call.on('error', () => outgoing.destroy());
  incoming.pipe(call);
}
