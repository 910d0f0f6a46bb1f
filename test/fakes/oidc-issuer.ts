import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { closeServer, listen } from './loopback.ts';

/** An OIDC provider that can send any token and any answer. Everybody who comes is signed in at once. */
export interface OidcIssuer extends AsyncDisposable {
  readonly issuer: string;
  /** The claims of the next ID tokens. `undefined` removes a claim. */
  claims: Readonly<Record<string, unknown>>;
  /** Default: the system clock. */
  clock: Clock;
  /** Changes the next answers. */
  faults: IssuerFaults;
  /** Whether a sign-in on another device gets a refresh token. */
  hasRefreshTokens: boolean;
  /** The form with which the last sign-in on another device was started. */
  deviceForm: URLSearchParams | undefined;
  /** The requests to each path. */
  readonly requests: readonly string[];
  /** Replaces the signing key. The old key is no longer listed. */
  rotateKey(): Promise<void>;
  /** Returns a signed token. */
  sign(claims: Readonly<Record<string, unknown>>, header?: { readonly typ?: string }): Promise<string>;
}

export interface IssuerFaults {
  /** The answer of a path. */
  readonly answers?: Readonly<
    Record<string, { readonly status: number; readonly body?: string; readonly location?: string }>
  >;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Whether to sign with a key that is not listed. */
  readonly unknownKey?: boolean;
  /** Paths that never answer. */
  readonly hangs?: readonly string[];
}

interface Started {
  readonly nonce: string | null;
}

export async function startOidcIssuer(clientId: string): Promise<OidcIssuer> {
  const codes = new Map<string, Started>();
  /** The device codes that a client has asked for once. The person confirms them then. */
  const polledCodes = new Set<string>();
  const refreshTokens = new Set<string>();
  const requests: string[] = [];
  let key = await createKey();
  const foreignKey = await createKey();
  const server = createServer((request, response) => void answer(request, response));
  const issuer = `http://127.0.0.1:${await listen(server)}`;

  const sign: OidcIssuer['sign'] = (claims, header = {}) => {
    const now = Math.floor(self.clock.now() / 1_000);
    const payload = { iss: issuer, aud: clientId, sub: 'ann', iat: now, exp: now + 300, ...claims };
    const { id, privateKey } = self.faults.unknownKey ? foreignKey : key;
    return new SignJWT(payload as JWTPayload)
      .setProtectedHeader({ alg: 'RS256', kid: id, ...header })
      .sign(privateKey);
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', issuer);
    requests.push(url.pathname);
    const { answers = {}, hangs = [] } = self.faults;
    if (hangs.includes(url.pathname)) return;
    const fixed = answers[url.pathname];
    if (fixed !== undefined) {
      const headers = fixed.location === undefined ? {} : { location: fixed.location };
      response
        .writeHead(fixed.status, { 'content-type': 'application/json', ...headers })
        .end(fixed.body ?? '{}');
      return;
    }
    const body = await documentAt(url, request);
    if (body === undefined) response.writeHead(404).end();
    else if (typeof body === 'string') response.writeHead(302, { location: body }).end();
    else
      response
        .writeHead('error' in body ? 400 : 200, { 'content-type': 'application/json' })
        .end(JSON.stringify(body));
  }

  async function documentAt(url: URL, request: IncomingMessage): Promise<object | string | undefined> {
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        return { ...metadataOf(issuer), ...self.faults.metadata };
      case '/keys':
        return { keys: [key.publicKey] };
      case '/authorize': {
        const code = randomUUID();
        codes.set(code, { nonce: url.searchParams.get('nonce') });
        const back = new URL(url.searchParams.get('redirect_uri') ?? '');
        back.searchParams.set('code', code);
        back.searchParams.set('state', url.searchParams.get('state') ?? '');
        return back.href;
      }
      case '/device':
        self.deviceForm = await formOf(request);
        return {
          device_code: randomUUID(),
          user_code: 'WDJB-MJHT',
          ...DEVICE,
          verification_uri: `${issuer}/activate`,
        };
      case '/token':
        return tokenFor(await formOf(request));
      default:
        return undefined;
    }
  }

  /** Returns an answer with an ID token. A refresh token can be used once. */
  async function tokens(nonce: string | null, isOffline: boolean): Promise<object> {
    const token = await sign({ nonce: nonce ?? undefined, ...self.claims });
    const refreshToken = randomUUID();
    if (isOffline) refreshTokens.add(refreshToken);
    const more = isOffline ? { refresh_token: refreshToken } : {};
    return { access_token: randomUUID(), token_type: 'bearer', id_token: token, ...more };
  }

  async function tokenFor(form: URLSearchParams): Promise<object> {
    const deviceCode = form.get('device_code');
    if (deviceCode !== null) {
      if (polledCodes.has(deviceCode)) return tokens(null, self.hasRefreshTokens);
      polledCodes.add(deviceCode);
      return { error: 'authorization_pending' };
    }
    const refreshToken = form.get('refresh_token');
    if (refreshToken !== null && refreshTokens.delete(refreshToken)) return tokens(null, true);
    const code = form.get('code') ?? '';
    const started = codes.get(code);
    codes.delete(code);
    if (started === undefined) return { error: 'invalid_grant', error_description: 'vendor-text' };
    return tokens(started.nonce, false);
  }

  const self: OidcIssuer = {
    issuer,
    claims: { groups: ['sre'] },
    faults: {},
    hasRefreshTokens: true,
    deviceForm: undefined,
    clock: systemClock,
    requests,
    async rotateKey() {
      key = await createKey();
    },
    sign,
    [Symbol.asyncDispose]: () => closeServer(server),
  };
  return self;
}

const DEVICE = { expires_in: 60, interval: 1 };

function metadataOf(issuer: string): object {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/keys`,
    device_authorization_endpoint: `${issuer}/device`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
  };
}

async function createKey() {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const id = randomUUID();
  return {
    id,
    privateKey,
    publicKey: { ...(await exportJWK(publicKey)), kid: id, alg: 'RS256', use: 'sig' },
  };
}

async function formOf(request: IncomingMessage): Promise<URLSearchParams> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
  return new URLSearchParams(text);
}
