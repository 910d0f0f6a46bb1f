import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { bodyOf } from './body.ts';
import {
  applyFault,
  type Canned,
  FORMLESS,
  HTTP_FAULTS,
  html,
  laters,
  sendCanned,
  type UpstreamAnswer,
} from './http-faults.ts';
import { closeServer, listen } from './loopback.ts';

export const FAULTS = [
  ...HTTP_FAULTS,
  'wrong mount',
  'not found at another host',
  'not allowed',
  'not up to date',
  'throttled for an hour',
  'standby',
  'unavailable, for 2 seconds',
  'sealed',
  'sealed according to its health',
] as const;
export type Fault = (typeof FAULTS)[number];

export interface FaultProxy extends AsyncDisposable {
  readonly address: string;
  /** Sets or removes the fault for requests whose path matches. */
  set(fault: Fault | undefined, path?: RegExp): void;
  /** The extra delay of each request that gets a real answer. */
  delayMs: number;
  /** All received requests, with their headers. */
  readonly requests: readonly {
    readonly method: string;
    readonly path: string;
    readonly headers: IncomingMessage['headers'];
  }[];
  /**
   * Called when the proxy leaves a request unanswered. A test can then end the request instead of waiting for a timeout.
   */
  onHang: () => void;
  /** Resolves when a request with a matching path arrives. */
  arrival(path: RegExp): Promise<void>;
}

const errors = (...texts: readonly string[]) => JSON.stringify({ errors: texts });
const SLOW: Canned = { status: 429, body: errors('slow') };

const CANNED: Partial<Record<Fault, () => Canned>> = {
  ...FORMLESS,
  ...laters(SLOW),
  'bad request': () => ({ status: 400, body: errors('bad request') }),
  unauthorized: () => ({ status: 401, body: errors('unauthorized') }),
  forbidden: () => ({ status: 403, body: errors('1 error occurred:\n\t* permission denied\n\n') }),
  'wrong mount': () => ({ status: 404, body: errors('no handler for route "x". route entry not found.') }),
  // An API gateway sends this answer when it has no route for a request.
  'not found at another host': () => ({
    status: 404,
    body: '{"message":"no Route matched with those values"}',
  }),
  'not allowed': () => ({ status: 405, body: errors('1 error occurred:\n\t* unsupported operation\n\n') }),
  'not up to date': () => ({ status: 412, body: errors('required index state not present') }),
  throttled: () => ({ status: 429, body: errors('request path "x": rate limit quota exceeded') }),
  'throttled for an hour': () => ({ ...SLOW, headers: { 'retry-after': '3600' } }),
  standby: () => ({ status: 473, body: errors('standby') }),
  'server error': () => ({ status: 500, body: errors('1 error occurred:\n\t* internal error\n\n') }),
  'unavailable, for 2 seconds': () => ({ ...html(503), headers: { 'retry-after': '2' } }),
  sealed: () => ({ status: 503, body: errors('Vault is sealed') }),
  'sealed according to its health': () => ({ status: 503, body: '{"initialized":true,"sealed":true}' }),
  redirect: () => ({ status: 307, body: '', headers: { location: 'http://127.0.0.1:9/v1/elsewhere' } }),
  'wrong content type': () => ({
    status: 200,
    body: '{"data":{"data":{"a":"1"},"metadata":{"version":1}}}',
    type: 'text/plain',
  }),
  'invalid JSON': () => ({ status: 200, body: '{"data":{"data":{"a":"1"}' }),
};

/** Starts a proxy in front of a real server. The proxy can make requests fail. */
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
    const canned = applies && fault !== undefined ? CANNED[fault]?.() : undefined;
    const forwarded = (then: (answer: IncomingMessage) => void) =>
      forward(upstream, incoming, outgoing, then);
    if (canned !== undefined) sendCanned(outgoing, canned);
    else if (applies) {
      const exchange = { incoming, outgoing, onHang: () => proxy.onHang() };
      void applyFault(fault, exchange, () => new Promise(forwarded).then(wholeOf));
    } else {
      const pass = () =>
        forwarded((answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(outgoing);
        });
      if (proxy.delayMs > 0) setTimeout(pass, proxy.delayMs);
      else pass();
    }
  });
  const port = await listen(server);

  const proxy: FaultProxy = {
    onHang: () => undefined,
    delayMs: 0,
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
    [Symbol.asyncDispose]: () => closeServer(server),
  };
  return proxy;
}

async function wholeOf(answer: IncomingMessage): Promise<UpstreamAnswer | undefined> {
  const body = await bodyOf(answer);
  const { 'content-length': _, 'transfer-encoding': __, ...headers } = answer.headers;
  return body && { status: answer.statusCode ?? 502, headers, body };
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
