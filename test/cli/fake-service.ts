import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Status } from '../../src/service/service.ts';

export interface FakeAnswer {
  readonly status?: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Maps a request line, such as `GET /path`, to its answer. A string is sent unchanged. */
export type Routes = Record<string, FakeAnswer | ((request: IncomingMessage) => FakeAnswer)>;

export interface FakeService extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** The request line and the headers of each request. An example of a request line is `GET /path`. */
  readonly requests: { readonly line: string; readonly headers: IncomingMessage['headers'] }[];
  readonly routes: Routes;
  /** The bodies of all requests that have a body. */
  readonly bodies: readonly string[];
}

export const LIVE: Routes = { 'GET /livez': { body: { ok: true, stalled: [], instance: 'prod' } } };

/** A test server that serves only the API routes that a test defines. */
export async function openService(
  routes: Routes,
  tls?: { readonly cert: string; readonly key: string },
): Promise<FakeService> {
  const requests: FakeService['requests'] = [];
  const bodies: string[] = [];
  const listener: RequestListener = (request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => {
      body += part.toString();
    });
    request.on('end', () => {
      if (body !== '') bodies.push(body);
    });
    const line = `${request.method} ${request.url}`;
    requests.push({ line, headers: request.headers });
    const route = routes[line] ?? missing;
    const answer = typeof route === 'function' ? route(request) : route;
    const { status = 200, headers } = answer;
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    requests,
    routes,
    bodies,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const missing: FakeAnswer = {
  status: 404,
  body: {
    code: 'NOT_FOUND',
    message: 'no object has this name',
    remedy: 'Correct the address.',
    requestId: 'r0',
  },
};

/** A healthy status. */
export const WELL: Status = {
  instance: 'prod-eu',
  version: '0.2.0',
  replica: 'bridge-0',
  engine: { kind: 'redis', state: 'up' },
  audit: { kind: 'sqlite', state: 'up', sequence: 4711 },
  warnings: [],
  cluster: { kind: 'kubernetes', state: 'up' },
  config: { valid: true, problems: [], differing: [] },
  includes: [],
  stores: [
    {
      name: 'team-vault',
      kind: 'vault',
      state: 'up',
      lastSuccess: '2027-03-01T11:59:48.000Z',
      breakerOpen: false,
    },
    { name: 'local', kind: 'files', state: 'up', lastSuccess: null, breakerOpen: false },
  ],
  events: [{ kind: 'sqs', name: 'eu', state: 'up', lastEvent: '2027-03-01T11:58:00.000Z' }],
  targets: [
    {
      mapping: 'api',
      namespace: 'payments',
      secret: 'api',
      state: 'synced',
      lastSuccess: '2027-03-01T11:59:48.000Z',
      staleSeconds: 12,
    },
    {
      mapping: 'db',
      namespace: 'payments',
      secret: 'db',
      state: 'pinned',
      lastSuccess: '2027-03-01T11:59:00.000Z',
      staleSeconds: 60,
      pinned: 41,
    },
  ],
  held: [],
};

/** A status that reports problems. */
export const UNWELL: Status = {
  ...WELL,
  events: [...WELL.events, { kind: 'webhook', name: 'ci', state: 'down', code: 'CREDENTIAL_MISSING' }],
  config: { valid: true, problems: [], differing: [] },
  engine: { kind: 'redis', state: 'degraded', code: 'QUEUE_UNAVAILABLE' },
  stores: [
    ...WELL.stores,
    {
      name: 'aws-prod',
      kind: 'aws-secrets-manager',
      state: 'down',
      lastSuccess: '2027-03-01T11:20:00.000Z',
      code: 'STORE_UNAVAILABLE',
      breakerOpen: true,
    },
  ],
  targets: [
    ...WELL.targets,
    ...Array.from({ length: 14 }, (_, n) => ({
      mapping: `m${n}`,
      namespace: 'apps',
      secret: `m${n}`,
      state: 'failed' as const,
      lastSuccess: '2027-03-01T11:20:00.000Z',
      staleSeconds: 2_400,
      code: 'STORE_UNAVAILABLE',
      message: 'store aws-prod: the store is unreachable or not working',
      remedy:
        'No action needed. If the error persists, check the address, DNS, the network and the health of the store.',
    })),
    {
      mapping: 'theirs',
      namespace: 'apps',
      secret: 'theirs',
      state: 'refused',
      lastSuccess: null,
      staleSeconds: null,
      code: 'NOT_OWNED',
      message: 'apps/theirs: a Secret with this name exists and is not ours',
      remedy:
        'Choose another name, or set `onConflict: adopt` to take the Secret over. Run `secretbridge plan` first.',
    },
    {
      mapping: 'new',
      namespace: 'web',
      secret: 'new',
      state: 'waiting',
      lastSuccess: null,
      staleSeconds: null,
    },
    {
      mapping: 'gone',
      namespace: 'web',
      secret: 'gone',
      state: 'held',
      lastSuccess: '2027-02-27T04:26:40.000Z',
      staleSeconds: 200_000,
      code: 'HELD',
      message: 'web/gone: the change destroys data and waits for approval',
      remedy: 'Look at what would be lost.',
    },
  ],
  held: [
    {
      id: '5f2c9a01d3e4',
      mapping: 'gone',
      namespace: 'web',
      secret: 'gone',
      action: 'delete',
      keys: [{ name: 'TOKEN', action: 'remove' }],
    },
  ],
};
