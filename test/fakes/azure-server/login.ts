import { createVerify, randomUUID, X509Certificate } from 'node:crypto';
import type { Reply } from './vault.ts';

export const TENANT = '11111111-1111-4111-8111-111111111111';

export interface Application {
  secret?: string;
  /** The federated token that the fake accepts. */
  assertion?: string;
  /** A certificate as PEM. The fake accepts an assertion if the key of this certificate has signed it. */
  certificate?: string;
}

/** A fake of the logins of Azure: Microsoft Entra ID with one tenant, and a managed identity endpoint. */
export interface Login {
  /** The applications by client id. */
  readonly applications: Map<string, Application>;
  /** The client ids of user-assigned identities. An empty text stands for the system-assigned identity. */
  readonly identities: Set<string>;
  /** The lifetime of new tokens, in seconds. */
  lifetime: number;
  /** All tokens that were issued. */
  readonly issued: ReadonlySet<string>;
  readonly counts: { discovery: number; token: number; identity: number };
  accepts(token: string): boolean;
  revokeAll(): void;
  answerAuthority(address: string, method: string, url: URL, body: string): Reply;
  answerIdentity(url: URL, headers: Readonly<Record<string, string | string[] | undefined>>): Reply;
}

export const IDENTITY_HEADER = 'header-of-the-identity-endpoint';

export function createLogin(now: () => number): Login {
  const valid = new Map<string, number>();
  const issued = new Set<string>();
  const issue = () => {
    const token = `token.${randomUUID()}.of-the-double`;
    valid.set(token, now() + login.lifetime * 1000);
    issued.add(token);
    return token;
  };
  const login: Login = {
    applications: new Map(),
    identities: new Set(['']),
    lifetime: 3600,
    issued,
    counts: { discovery: 0, token: 0, identity: 0 },
    accepts: (token) => (valid.get(token) ?? 0) > now(),
    revokeAll: () => valid.clear(),
    answerAuthority(address, method, url, body) {
      const [tenant = ''] = url.pathname.slice(1).split('/');
      if (url.pathname.endsWith('/.well-known/openid-configuration')) {
        login.counts.discovery += 1;
        return tenant === TENANT ? json(200, discovery(address)) : refusal(400, 'invalid_tenant', 90002);
      }
      if (method !== 'POST' || !url.pathname.endsWith('/oauth2/v2.0/token')) return { status: 404, body: '' };
      login.counts.token += 1;
      const form = new URLSearchParams(body);
      const application = login.applications.get(form.get('client_id') ?? '');
      if (application === undefined) return refusal(400, 'unauthorized_client', 700016);
      const refused = refusedBy(application, form);
      if (refused !== undefined) return refused;
      if (form.get('scope')?.split(' ').includes('https://vault.azure.net/.default') !== true) {
        return refusal(400, 'invalid_resource', 500011);
      }
      return json(200, { token_type: 'Bearer', expires_in: login.lifetime, access_token: issue() });
    },
    answerIdentity(url, headers) {
      login.counts.identity += 1;
      const isImds = url.pathname === '/metadata/identity/oauth2/token';
      if (isImds ? headers.metadata !== 'true' : headers['x-identity-header'] !== IDENTITY_HEADER) {
        return json(401, { error: 'unauthorized', error_description: 'a header is missing' });
      }
      const clientId = url.searchParams.get('client_id') ?? '';
      if (url.searchParams.get('resource') !== 'https://vault.azure.net' || !login.identities.has(clientId)) {
        return json(400, { error: 'invalid_request', error_description: 'Identity not found' });
      }
      const end = Math.floor(now() / 1000) + login.lifetime;
      return json(200, { access_token: issue(), expires_on: String(end), token_type: 'Bearer' });
    },
  };
  return login;
}

function refusedBy(
  { secret, assertion, certificate }: Application,
  form: URLSearchParams,
): Reply | undefined {
  const clientAssertion = form.get('client_assertion');
  if (clientAssertion === null) {
    return secret !== undefined && form.get('client_secret') === secret
      ? undefined
      : refusal(401, 'invalid_client', 7000215);
  }
  if (assertion !== undefined && clientAssertion === assertion) return undefined;
  if (certificate !== undefined && isSignedBy(clientAssertion, certificate)) return undefined;
  return refusal(401, 'invalid_client', certificate === undefined ? 700213 : 700027);
}

/** Whether the key of the certificate signed the JWT (RFC 7519), with RS256 or PS256. */
function isSignedBy(jwt: string, certificate: string): boolean {
  const [header = '', payload = '', signature = ''] = jwt.split('.');
  const { publicKey } = new X509Certificate(certificate);
  const isPss = Buffer.from(header, 'base64url').toString().includes('PS256');
  const verify = createVerify('sha256').update(`${header}.${payload}`);
  const key = isPss ? { key: publicKey, padding: 6, saltLength: 32 } : publicKey;
  return verify.verify(key, Buffer.from(signature, 'base64url'));
}

function discovery(address: string): object {
  const base = `${address}/${TENANT}`;
  return {
    token_endpoint: `${base}/oauth2/v2.0/token`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    end_session_endpoint: `${base}/oauth2/v2.0/logout`,
    jwks_uri: `${base}/discovery/v2.0/keys`,
    issuer: `${base}/v2.0`,
  };
}

function refusal(status: number, error: string, number: number): Reply {
  return json(status, {
    error,
    error_description: `AADSTS${number}: a text of the vendor's. Trace ID: ${randomUUID()}`,
    error_codes: [number],
    trace_id: randomUUID(),
  });
}

function json(status: number, body: object): Reply {
  return { status, body: JSON.stringify(body) };
}
