import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { closeServer, listen } from './loopback.ts';

export const TENANT = '72f988bf-86f1-41af-91ab-2d7cd011db47';
export const AUDIENCE = 'api://secretbridge';

/** Claims that replace the claims of a valid token or are added to them. The value `undefined` removes a claim. */
export type Claims = Readonly<Record<string, unknown>>;

/** A fake of Microsoft Entra. It publishes its signing keys, and issues tokens like those that Event Grid sends. */
export interface EntraServer extends AsyncDisposable {
  readonly authority: string;
  /** The number of requests for the signing keys. */
  readonly fetches: number;
  /** Whether the fake answers requests for the signing keys with status 503. */
  broken: boolean;
  /** Replaces the signing key, and publishes only the new key. */
  rotate(): Promise<void>;
  /** @param now The current time, in milliseconds since 1970. */
  token(now: number, claims?: Claims, options?: { readonly alg?: 'RS256' | 'PS256' }): Promise<string>;
}

/** @param owner A name. Servers with the same owner use the same keys, because creating keys is slow. */
export async function startEntraServer(owner = 'Microsoft'): Promise<EntraServer> {
  const state = { fetches: 0, broken: false, kid: 0 };
  let pair = await pairOf(owner);
  const server = createServer((request, response) => {
    void (async () => {
      state.fetches += 1;
      if (state.broken || request.url !== `/${TENANT}/discovery/v2.0/keys`)
        return response.writeHead(state.broken ? 503 : 404).end('mArKeR');
      const key = { ...(await exportJWK(pair.publicKey)), kid: `k${state.kid}`, use: 'sig' };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [key] }));
    })();
  });
  const port = await listen(server);
  return {
    authority: `http://127.0.0.1:${port}`,
    get fetches() {
      return state.fetches;
    },
    get broken() {
      return state.broken;
    },
    set broken(value) {
      state.broken = value;
    },
    async rotate() {
      state.kid += 1;
      pair = await pairOf(`${owner} ${state.kid}`);
    },
    async token(now, claims = {}, { alg = 'RS256' } = {}) {
      const seconds = Math.floor(now / 1_000);
      const all = {
        aud: AUDIENCE,
        iss: `https://sts.windows.net/${TENANT}/`,
        iat: seconds,
        nbf: seconds,
        exp: seconds + 3_600,
        appid: '4962773b-9cdb-44cf-a8bf-237846a00ab7',
        roles: ['AzureEventGridSecureWebhookSubscriber'],
        ...claims,
      };
      const key =
        alg === 'RS256'
          ? pair.privateKey
          : await crypto.subtle.importKey(
              'pkcs8',
              await crypto.subtle.exportKey('pkcs8', pair.privateKey),
              { name: 'RSA-PSS', hash: 'SHA-256' },
              false,
              ['sign'],
            );
      return new SignJWT(all).setProtectedHeader({ alg, kid: `k${state.kid}`, typ: 'JWT' }).sign(key);
    },
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

const pairs = new Map<string, ReturnType<typeof generateKeyPair>>();

function pairOf(name: string): ReturnType<typeof generateKeyPair> {
  const pair = pairs.get(name) ?? generateKeyPair('RS256', { extractable: true });
  pairs.set(name, pair);
  return pair;
}
