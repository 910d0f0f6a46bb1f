import { text as textOf } from 'node:stream/consumers';
import { systemClock } from '../../src/core/clock.ts';
import { AppError } from '../../src/core/errors.ts';
import type { Role } from '../../src/core/roles.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { startBackgroundTimer } from '../../src/core/timer.ts';
import { type AuthOptions, createAuthenticator } from '../../src/http/auth.ts';
import { type Backend, type HttpDeps, LIMITS, type Limits, type RouteDeps } from '../../src/http/deps.ts';
import { buildServer, type HttpServer } from '../../src/http/server.ts';
import type {
  HeldStatus,
  OrphansAnswer,
  Requester,
  Service,
  Status,
  SyncAnswer,
  TargetStatus,
} from '../../src/service/service.ts';
import type { LogFields } from '../../src/telemetry/log-fields.ts';
import type { Logger } from '../../src/telemetry/logger.ts';
import { createMemoryAudit, type MemoryAudit } from '../fakes/memory-audit.ts';

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

export interface TestServer extends AsyncDisposable {
  readonly server: HttpServer;
  readonly audit: MemoryAudit;
  readonly log: readonly LogLine[];
  /** The service methods that were called, each with its requester. */
  readonly calls: readonly { readonly what: string; readonly by: Requester; readonly requestId: string }[];
  get(url: string, token?: string): Promise<Answer>;
  call(method: Method, url: string, options?: CallOptions): Promise<Answer>;
}

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'HEAD' | 'OPTIONS';

export interface CallOptions {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The address of the client. */
  readonly from?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** One token for each role. */
export const TOKENS: Readonly<Record<Role, string>> = {
  viewer: 'viewer-7d1fca0e56b84d4f',
  reviewer: 'reviewer-0c5e5a1b9d3f4e21',
  operator: 'operator-b1946ac92492d234',
};

export const STATIC_TOKENS: AuthOptions['tokens'] = (['viewer', 'reviewer', 'operator'] as const).map(
  (role) => ({
    name: `the-${role}`,
    role,
    token: SecretValue.fromText(TOKENS[role]),
  }),
);

export type TestServerDeps = Partial<
  Omit<Backend, 'service'> & Omit<HttpDeps, 'backend' | 'timers'> & Pick<RouteDeps, 'clock' | 'wake'>
> & {
  readonly service?: Partial<Service>;
};

export async function startTestServer(
  { service, audit, metrics, events, evidence, signIn, ...more }: TestServerDeps = {},
  limits: Partial<Limits> = {},
): Promise<TestServer> {
  const memoryAudit = createMemoryAudit();
  const log: LogLine[] = [];
  const calls: { what: string; by: Requester; requestId: string }[] = [];
  const text = { contentType: 'text/plain; version=0.0.4', text: '# metrics\n' };
  const { clock = systemClock, wake = startBackgroundTimer, ...deps } = more;
  const all = {
    backend: {
      service: { ...fakeService(calls), ...service },
      audit: audit ?? memoryAudit,
      metrics: metrics ?? { render: async () => text, signIn: () => undefined },
      ...(events && { events }),
      ...(evidence && { evidence }),
      signIn,
    },
    auth: createAuthenticator({ tokens: STATIC_TOKENS }),
    config: { metricsNeedToken: false },
    version: '1.2.3',
    logger: recorder(log),
    timers: { now: () => clock.now(), wake },
    ...deps,
  };
  const server = await buildServer(all, { ...LIMITS, ...limits });
  const call: TestServer['call'] = async (method, url, { token, headers, body, from } = {}) => {
    // The answer of a stream has no end, so only its status and headers count.
    const payloadAsStream = method === 'GET' && url.startsWith('/api/v1/stream');
    const answer = await server.app.inject({
      payloadAsStream,
      method,
      url,
      headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      ...(body === undefined ? {} : { payload: body }),
      ...(from === undefined ? {} : { remoteAddress: from }),
    });
    if (payloadAsStream && answer.statusCode === 200) {
      answer.stream().destroy();
      return { status: answer.statusCode, headers: answer.headers, text: '', json: {} };
    }
    const received = payloadAsStream ? await textOf(answer.stream()) : answer.body;
    const isJson = /^application\/json/.test(String(answer.headers['content-type'])) && received !== '';
    const json = isJson ? JSON.parse(received) : {};
    return { status: answer.statusCode, headers: answer.headers, text: received, json };
  };
  return {
    server,
    audit: memoryAudit,
    log,
    calls: calls,
    call,
    get: (url, token = TOKENS.viewer) => call('GET', url, { token }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

export function recorder(log: LogLine[]): Logger {
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}): void =>
      void log.push({ level, message, fields });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

export function target(part: Partial<TargetStatus> = {}): TargetStatus {
  const never = { lastSuccess: null, staleSeconds: null };
  return { mapping: 'db', namespace: 'shop', secret: 'db', state: 'synced', ...never, ...part };
}

export function held(part: Partial<HeldStatus> = {}): HeldStatus {
  return {
    id: '5f2c9a01d3e4',
    mapping: 'db',
    namespace: 'shop',
    secret: 'db',
    action: 'delete',
    keys: [],
    ...part,
  };
}

const STATUS: Status = {
  instance: 'test',
  version: '1.2.3',
  replica: 'test-1',
  engine: { kind: 'memory', state: 'up' },
  audit: { kind: 'sqlite', state: 'up', sequence: 7 },
  warnings: [],
  cluster: { kind: 'directory', state: 'up' },
  config: { valid: true, problems: [], differing: [] },
  includes: [],
  stores: [{ name: 'local', kind: 'files', state: 'up', lastSuccess: null, breakerOpen: false }],
  events: [],
  targets: [target()],
  held: [],
};

export const ORPHANS: OrphansAnswer = {
  changes: 1,
  targets: [{ mapping: 'old', namespace: 'shop', secret: 'old', action: 'delete', keys: [] }],
  held: [],
};

/** Returns the answer to a sync that has updated one target. */
export function done(requestId: string): SyncAnswer {
  return {
    ok: true,
    requestId,
    summary: { updated: 1 },
    targets: [],
    held: [],
    warnings: [],
    pending: 0,
  };
}

function fakeService(calls: { what: string; by: Requester; requestId: string }[]): Service {
  const mappings = ['api', 'db', 'web'].map((mapping) => ({
    mapping,
    refreshSeconds: 300,
    sources: [{ store: 'local', key: `${mapping}.json` }],
    searches: [],
    targets: [target({ mapping, secret: mapping })],
  }));
  return {
    status: async () => STATUS,
    mappings: () => mappings,
    mapping: (name) => mappings.find(({ mapping }) => mapping === name),
    held: () => [held()],
    async sync(mapping, by, requestId) {
      if (!mappings.some((one) => one.mapping === mapping)) return undefined;
      calls.push({ what: `sync ${mapping}`, by, requestId });
      return done(requestId);
    },
    async rollback(mapping, { to, namespace }, by, requestId) {
      if (!mappings.some((one) => one.mapping === mapping)) return undefined;
      calls.push({ what: `rollback ${mapping} ${to} ${namespace ?? ''}`.trimEnd(), by, requestId });
      return done(requestId);
    },
    async unpin(mapping, { namespace }, by, requestId) {
      if (!mappings.some((one) => one.mapping === mapping)) return undefined;
      calls.push({ what: `unpin ${mapping} ${namespace ?? ''}`.trimEnd(), by, requestId });
      return done(requestId);
    },
    async release(id, by, requestId) {
      calls.push({ what: `release ${id}`, by, requestId });
      return done(requestId);
    },
    async plan(namespace, by, requestId) {
      calls.push({ what: `plan ${namespace}`, by, requestId });
      return { changes: 0, targets: [] };
    },
    orphans: async () => ORPHANS,
    async prune(by, requestId) {
      calls.push({ what: 'prune', by, requestId });
      return done(requestId);
    },
    approvals: async () => [],
    async approve() {
      throw new AppError('NOT_FOUND');
    },
    async reject() {
      throw new AppError('NOT_FOUND');
    },
    loops: () => [{ name: 'queue', ageMs: 1, deadlineMs: 60_000, stalled: false }],
    notReady: async () => undefined,
  };
}
