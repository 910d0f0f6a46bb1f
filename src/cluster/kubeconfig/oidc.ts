import type { RequestOptions } from 'node:https';
import { request } from 'undici';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { createInTurn } from '../../core/in-turn.ts';
import { isObject, type JsonObject, parseObject } from '../../core/json.ts';
import { isLoopback } from '../../core/loopback.ts';
import { holdsCertificates, readAuthorities } from '../../core/small-file.ts';
import { errorOfTransport, LOG_IN, unavailable } from '../errors.ts';
import { listIn, textIn } from '../json.ts';
import { createPool } from '../pool.ts';
import type { User } from './entries.ts';

export interface OidcOptions {
  readonly clock: Clock;
  /** For one renewal. */
  readonly timeoutMs: number;
  /** Of the client. */
  readonly signal: AbortSignal;
}

/**
 * A token is renewed so long before it ends: an identity is used for 10 s once it is known, and clocks differ.
 */
const EARLY_MS = 15_000;

interface Session {
  readonly inTurn: ReturnType<typeof createInTurn>;
  /** None before the first renewal. */
  refreshToken: string | undefined;
}

/**
 * Many a refresh token is good for one renewal, so that the one that came last is for the whole process: it outlives a
 * login that the API server has refused, and a service that opens anew, and one after the other uses it.
 */
const sessions = new Map<string, Session>();

function sessionOf(config: JsonObject): Session {
  const fields = ['idp-issuer-url', 'client-id', 'refresh-token'].map((field) => textIn(config, field));
  const key = JSON.stringify(fields);
  const session = sessions.get(key) ?? { inTurn: createInTurn(), refreshToken: undefined };
  sessions.set(key, session);
  return session;
}

export function isOidc({ authProvider }: User): boolean {
  return isObject(authProvider) && authProvider.name === 'oidc';
}

/**
 * The id token of a kubeconfig, and its renewal by the refresh token (https://openid.net/specs/openid-connect-core-1_0.html#RefreshTokens).
 * client-node can do so neither with a secret of the client nor with an authority of the issuer's own.
 */
export function createOidc(user: User, options: OidcOptions): (into: RequestOptions) => Promise<void> {
  const { clock } = options;
  const config: JsonObject = isObject(user.authProvider.config) ? user.authProvider.config : {};
  const given = textIn(config, 'refresh-token') ?? '';
  const session = sessionOf(config);
  // One that was renewed before has been refused, or has ended.
  let idToken = session.refreshToken === undefined ? (textIn(config, 'id-token') ?? '') : '';
  return async (into) => {
    const left = endOf(idToken) - clock.now();
    if (left <= 0 || (left <= EARLY_MS && given !== ''))
      idToken = await session.inTurn(async () => {
        const about = `kubeconfig user ${user.name}`;
        const renewed = await renew(config, session.refreshToken ?? given, about, options);
        session.refreshToken = renewed.refreshToken;
        return renewed.idToken;
      });
    into.headers = { Authorization: `Bearer ${idToken}` };
  };
}

async function renew(
  config: JsonObject,
  refreshToken: string,
  about: string,
  { timeoutMs, signal }: OidcOptions,
): Promise<{ readonly idToken: string; readonly refreshToken: string }> {
  const refused = (detail: string) => new AppError('CLUSTER_FORBIDDEN', { about, detail, todo: LOG_IN });
  const of = (field: string): string => {
    const value = textIn(config, field) ?? '';
    if (value === '') throw refused(`its id token has ended, and a renewal needs \`${field}\``);
    return value;
  };
  const [issuer, client] = [of('idp-issuer-url'), of('client-id')];
  of('refresh-token');
  const ca = await authoritiesOf(config, about);
  const late = AbortSignal.timeout(timeoutMs);
  await using pool = createPool(1);

  async function ask(url: string, form?: URLSearchParams, headers: Record<string, string> = {}) {
    const { protocol, hostname } = URL.parse(url) ?? {};
    if (protocol !== 'https:' && !(protocol === 'http:' && isLoopback(url)))
      throw refused(
        `the issuer of its id token must have an address of https, and ${hostname ?? url} has none`,
      );
    const { statusCode, body } = await request(url, {
      dispatcher: pool.dispatcher({ ca }),
      signal: AbortSignal.any([signal, late]),
      headers: { Accept: 'application/json', ...headers },
      ...(form === undefined
        ? {}
        : {
            method: 'POST',
            body: form.toString(),
            headers: {
              Accept: 'application/json',
              'Content-Type': 'application/x-www-form-urlencoded',
              ...headers,
            },
          }),
    });
    const text = await body.text();
    if (statusCode === 429 || statusCode >= 500)
      throw unavailable(`the issuer of its id token answers with status ${statusCode}`).concerning(about);
    if (statusCode !== 200)
      throw refused(`the issuer of its id token refuses to renew it, status ${statusCode}`);
    return parseObject(text) ?? {};
  }

  try {
    const known = await ask(`${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`);
    const endpoint = textIn(known, 'token_endpoint') ?? '';
    // As of another server, which answers with a page of its own. What it names is not ours to show.
    if (!URL.canParse(endpoint))
      throw refused('the issuer of its id token does not say where it renews one: check `idp-issuer-url`');
    const { form, headers } = proofOf(client, textIn(config, 'client-secret') ?? '', known);
    const asked = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken, ...form });
    const answer = await ask(endpoint, asked, headers);
    const idToken = textIn(answer, 'id_token');
    if (!idToken) throw refused('the issuer of its id token gave none');
    return { idToken, refreshToken: textIn(answer, 'refresh_token') || refreshToken };
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown;
    const { detail = '' } = errorOfTransport(thrown, timeoutMs);
    const why = /^(TLS: |no answer)/.test(detail) ? detail : 'it cannot be reached';
    throw unavailable(`the issuer of its id token: ${why}`, thrown).concerning(about);
  }
}

/** RFC 6749, 2.3.1. */
function proofOf(client: string, secret: string, known: JsonObject) {
  const methods = listIn(known, 'token_endpoint_auth_methods_supported');
  const isHeader = methods.length === 0 || methods.includes('client_secret_basic');
  if (secret === '') return { form: { client_id: client }, headers: {} };
  if (!isHeader) return { form: { client_id: client, client_secret: secret }, headers: {} };
  const encoded = [client, secret].map((one) => new URLSearchParams({ '': one }).toString().slice(1));
  return {
    form: {},
    headers: { Authorization: `Basic ${Buffer.from(encoded.join(':')).toString('base64')}` },
  };
}

async function authoritiesOf(config: JsonObject, about: string): Promise<string | undefined> {
  const [data, file] = [
    textIn(config, 'idp-certificate-authority-data'),
    textIn(config, 'idp-certificate-authority'),
  ];
  if (data) {
    const text = Buffer.from(data, 'base64').toString('utf8');
    if (holdsCertificates(text)) return text;
    const detail = 'its `idp-certificate-authority-data` holds no certificates in PEM';
    throw new AppError('CREDENTIAL_MISSING', { about, detail });
  }
  return file ? readAuthorities(file, { code: 'CREDENTIAL_MISSING', about }) : undefined;
}

/** In milliseconds since 1970; of what does not say it, that is over. */
function endOf(idToken: string): number {
  const [, claims = ''] = idToken.split('.');
  const exp = parseObject(Buffer.from(claims, 'base64url').toString('utf8'))?.exp;
  return typeof exp === 'number' ? exp * 1_000 : Number.NEGATIVE_INFINITY;
}
