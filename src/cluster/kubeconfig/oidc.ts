import type { RequestOptions } from 'node:https';
import { request } from 'undici';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { isObject, type JsonObject, parseObject } from '../../core/json.ts';
import { isLoopback } from '../../core/loopback.ts';
import { createSerialExecutor } from '../../core/serial-executor.ts';
import { holdsCertificates, readAuthorities } from '../../core/small-file.ts';
import { errorFromTransport, LOGIN_REMEDY, unavailable } from '../errors.ts';
import { listIn, textIn } from '../json.ts';
import { createPool } from '../pool.ts';
import type { User } from './entries.ts';

export interface OidcOptions {
  readonly clock: Clock;
  /** Time limit for one token renewal. */
  readonly timeoutMs: number;
  /** Aborted when the client closes. */
  readonly signal: AbortSignal;
}

/**
 * How long before its expiry a token is renewed. The time is longer than the 10 s for which an identity is reused,
 * because clocks differ.
 */
const RENEW_BEFORE_EXPIRY_MS = 15_000;

interface Session {
  readonly runExclusively: ReturnType<typeof createSerialExecutor>;
  /** The refresh token from the last renewal. Undefined before the first renewal. */
  refreshToken: string | undefined;
}

/**
 * Sessions that the whole process shares, because many refresh tokens work only once. A session keeps the latest
 * refresh token when a login is rejected, and when the service restarts within the process. Renewals run one after
 * another.
 */
const sessions = new Map<string, Session>();

function sessionOf(config: JsonObject): Session {
  const fields = ['idp-issuer-url', 'client-id', 'refresh-token'].map((field) => textIn(config, field));
  const key = JSON.stringify(fields);
  const session = sessions.get(key) ?? { runExclusively: createSerialExecutor(), refreshToken: undefined };
  sessions.set(key, session);
  return session;
}

export function isOidc({ authProvider }: User): boolean {
  return isObject(authProvider) && authProvider.name === 'oidc';
}

/**
 * Uses the id token of a kubeconfig and renews it with the refresh token
 * (https://openid.net/specs/openid-connect-core-1_0.html#RefreshTokens).
 *
 * client-node 2.0 cannot renew a token. It passes the issuer to its OIDC library as text, and the library requires a URL.
 */
export function createOidc(user: User, options: OidcOptions): (into: RequestOptions) => Promise<void> {
  const { clock } = options;
  const config: JsonObject = isObject(user.authProvider.config) ? user.authProvider.config : {};
  const configuredRefreshToken = textIn(config, 'refresh-token') ?? '';
  const session = sessionOf(config);
  // After the first renewal, the token in the kubeconfig is outdated: the API server rejected it, or it expired. Do not
  // use it again.
  let idToken = session.refreshToken === undefined ? (textIn(config, 'id-token') ?? '') : '';
  return async (into) => {
    const remainingMs = expiryOf(idToken) - clock.now();
    if (remainingMs <= 0 || (remainingMs <= RENEW_BEFORE_EXPIRY_MS && configuredRefreshToken !== ''))
      idToken = await session.runExclusively(async () => {
        const renewed = await renew(
          user.name,
          config,
          session.refreshToken ?? configuredRefreshToken,
          options,
        );
        session.refreshToken = renewed.refreshToken;
        return renewed.idToken;
      });
    into.headers = { Authorization: `Bearer ${idToken}` };
  };
}

interface Renewal {
  readonly idToken: string;
  readonly refreshToken: string;
}

async function renew(
  userName: string,
  config: JsonObject,
  refreshToken: string,
  { timeoutMs, signal }: OidcOptions,
): Promise<Renewal> {
  const subject = `kubeconfig user ${userName}`;
  await using pool = createPool(1);
  try {
    const dispatcher = pool.dispatcher({ ca: await authoritiesOf(config, subject) });
    const transport = { dispatcher, signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) };
    return await exchange(config, refreshToken, transport);
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown.withSubject(subject);
    const { detail = '' } = errorFromTransport(thrown, timeoutMs);
    const reason = /^(TLS: |no answer)/.test(detail) ? detail : 'no connection';
    throw unavailable(`the issuer of the id token: ${reason}`, thrown).withSubject(subject);
  }
}

/** Exchanges the refresh token for a new id token. */
async function exchange(
  config: JsonObject,
  refreshToken: string,
  transport: Pick<IssuerRequest, 'dispatcher' | 'signal'>,
): Promise<Renewal> {
  const requireField = (field: string): string => {
    const value = textIn(config, field) ?? '';
    if (value === '') throw refused(`the id token has expired, and a renewal needs \`${field}\``);
    return value;
  };
  const [issuer, client] = [requireField('idp-issuer-url'), requireField('client-id')];
  requireField('refresh-token');
  const discovery = await requestJson(
    `${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`,
    transport,
  );
  const endpoint = textIn(discovery, 'token_endpoint') ?? '';
  // The response may be a page of another server, so its content is not shown.
  if (!URL.canParse(endpoint))
    throw refused('the issuer of the id token has no token endpoint: check `idp-issuer-url`');
  const { form, headers } = clientAuthentication(client, textIn(config, 'client-secret') ?? '', discovery);
  const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken, ...form });
  const response = await requestJson(endpoint, {
    ...transport,
    method: 'POST',
    body: body.toString(),
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
  });
  const idToken = textIn(response, 'id_token');
  if (!idToken) throw refused('the issuer of the id token returned no id token');
  return { idToken, refreshToken: textIn(response, 'refresh_token') || refreshToken };
}

type IssuerRequest = NonNullable<Parameters<typeof request>[1]> & {
  readonly headers?: Readonly<Record<string, string>>;
};

/** Sends one request to the issuer, over TLS only. */
async function requestJson(url: string, options: IssuerRequest): Promise<JsonObject> {
  const { protocol, hostname } = URL.parse(url) ?? {};
  if (protocol !== 'https:' && !(protocol === 'http:' && isLoopback(url)))
    throw refused(`the issuer of the id token must use https, but ${hostname ?? url} does not`);
  const headers = { Accept: 'application/json', ...options.headers };
  const { statusCode, body } = await request(url, { ...options, headers });
  const text = await body.text();
  if (statusCode === 429 || statusCode >= 500)
    throw unavailable(`the issuer of the id token answered with status ${statusCode}`);
  if (statusCode !== 200)
    throw refused(`the issuer of the id token refused to renew it, status ${statusCode}`);
  return parseObject(text) ?? {};
}

function refused(detail: string): AppError {
  return new AppError('CLUSTER_FORBIDDEN', { detail, remedy: LOGIN_REMEDY });
}

/** Returns the client authentication according to RFC 6749, section 2.3.1. */
function clientAuthentication(client: string, secret: string, discovery: JsonObject) {
  const methods = listIn(discovery, 'token_endpoint_auth_methods_supported');
  const isHeader = methods.length === 0 || methods.includes('client_secret_basic');
  if (secret === '') return { form: { client_id: client }, headers: {} };
  if (!isHeader) return { form: { client_id: client, client_secret: secret }, headers: {} };
  const encoded = [client, secret].map((part) => new URLSearchParams({ '': part }).toString().slice(1));
  return {
    form: {},
    headers: { Authorization: `Basic ${Buffer.from(encoded.join(':')).toString('base64')}` },
  };
}

async function authoritiesOf(config: JsonObject, subject: string): Promise<string | undefined> {
  const [data, file] = [
    textIn(config, 'idp-certificate-authority-data'),
    textIn(config, 'idp-certificate-authority'),
  ];
  if (data) {
    const text = Buffer.from(data, 'base64').toString('utf8');
    if (holdsCertificates(text)) return text;
    const detail = 'its `idp-certificate-authority-data` holds no certificates in PEM';
    throw new AppError('CREDENTIAL_MISSING', { subject, detail });
  }
  return file ? readAuthorities(file, { code: 'CREDENTIAL_MISSING', subject }) : undefined;
}

/** Returns the expiry in milliseconds since 1970. A token without an expiry counts as expired. */
function expiryOf(idToken: string): number {
  const [, claims = ''] = idToken.split('.');
  const exp = parseObject(Buffer.from(claims, 'base64url').toString('utf8'))?.exp;
  return typeof exp === 'number' ? exp * 1_000 : Number.NEGATIVE_INFINITY;
}
