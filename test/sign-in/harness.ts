import { openSignIn } from '../../src/commands/serve/sign-in.ts';
import { Http } from '../../src/config/shape/service.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { createAuthenticator } from '../../src/http/auth.ts';
import { createOidcLogins } from '../../src/http/oidc-logins.ts';
import type { SignIn } from '../../src/sign-in/sign-in.ts';
import { createManualTime, type ManualTime } from '../fakes/manual-time.ts';
import { createMemoryAudit, type MemoryAudit } from '../fakes/memory-audit.ts';
import { SEALER } from '../fakes/record-keys.ts';
import {
  type Answer,
  type CallOptions,
  type LogLine,
  type Method,
  recorder,
  STATIC_TOKENS,
  startTestServer,
  type TestServer,
} from '../http/harness.ts';
import { keepCookies } from './browser.ts';
import { CLIENT_ID, CLIENT_SECRET } from './oidc-provider.ts';

/** A replica of the service with `http.oidc`, and a client that keeps its cookies as a browser does. */
export interface SignInServer extends AsyncDisposable {
  readonly time: ManualTime;
  readonly audit: MemoryAudit;
  readonly server: TestServer;
  readonly cookies: Map<string, string>;
  readonly outcomes: readonly string[];
  readonly log: readonly LogLine[];
  readonly signIn: SignIn;
  /** Sends a request with the cookies, as the review page does. */
  call(method: Method, url: string, options?: CallOptions): Promise<Answer>;
  /** Another replica: it shares the keys, the audit and the clock. */
  replica(): Promise<SignInServer>;
}

export const REDIRECT_URI = 'http://localhost/auth/callback';

const ROLES = [
  { group: 'sre', role: 'operator' },
  { group: 'payments', role: 'reviewer', namespaces: ['payments-*'] },
];

export async function startSignInServer(
  issuer: string,
  options: Readonly<Record<string, unknown>> = {},
): Promise<SignInServer> {
  const time = createManualTime(Date.now());
  return replicaOf(issuer, options, { time, audit: createMemoryAudit({ clock: time }) });
}

async function replicaOf(
  issuer: string,
  options: Readonly<Record<string, unknown>>,
  shared: { readonly time: ManualTime; readonly audit: MemoryAudit },
): Promise<SignInServer> {
  const { time, audit } = shared;
  const cookies = new Map<string, string>();
  const outcomes: string[] = [];
  const http = Http.parse({
    oidc: { issuer, clientId: CLIENT_ID, clientSecret: { env: 'SECRET' }, roles: ROLES, ...options },
  });
  const log: LogLine[] = [];
  const logger = recorder(log);
  const signIn = openSignIn(
    { http },
    {
      app: { clock: time, sealer: SEALER, storedAudit: audit, config: { approvals: [] } },
      credential: async () => SecretValue.fromText(CLIENT_SECRET),
      logger,
    },
  );
  if (signIn === undefined) throw new Error('http.oidc is missing');
  const oidc = createOidcLogins(signIn, issuer);
  const server = await startTestServer({
    audit,
    clock: time,
    wake: time.wake,
    logger,
    auth: createAuthenticator({ tokens: STATIC_TOKENS, oidc }),
    signIn: () => signIn,
    metrics: {
      render: async () => ({ contentType: 'text/plain', text: '' }),
      signIn: (outcome) => outcomes.push(outcome),
    },
  });
  return {
    time,
    audit,
    server,
    cookies,
    outcomes,
    signIn,
    log,
    async call(method, url, { headers = {}, ...more } = {}) {
      const cookie = [...cookies].map((pair) => pair.join('=')).join('; ');
      const own = { 'sec-fetch-site': 'same-origin', ...(cookie === '' ? {} : { cookie }) };
      const answer = await server.call(method, url, { headers: { ...own, ...headers }, ...more });
      keepCookies(cookies, [answer.headers['set-cookie'] ?? []].flat().map(String));
      return answer;
    },
    replica: () => replicaOf(issuer, options, shared),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
