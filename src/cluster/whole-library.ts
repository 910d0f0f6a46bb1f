import type { RequestOptions } from 'node:https';

import type { Clock } from '../core/clock.ts';
import { isObject, parseObject } from '../core/json.ts';
import type { Kubeconfig } from './kubeconfig.ts';
import type { User } from './kubeconfig-entries.ts';
import { requireLogin } from './plugin.ts';

/**
 * A token is renewed so long before it ends: an identity is used for 10 s once it is known, and clocks differ. One that
 * the API server refuses sends us back to the kubeconfig, whose refresh token may be used up by then.
 */
const EARLY_MS = 15_000;

/**
 * The library as a whole takes 54 MiB for its models of the API, so that only those get it who log in as it alone
 * knows how: OIDC, and what was before plugins.
 */
export async function createWholeLibrary(
  config: Kubeconfig,
  clock: Clock,
): Promise<(user: User, into: RequestOptions) => Promise<void>> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const whole = new KubeConfig();
  // It takes no plain http unless verification is off; whether we do, `loadKubeconfig` has decided.
  const clusters = config.clusters.map((it) =>
    it.server.startsWith('http:') ? { ...it, skipTLSVerify: true } : it,
  );
  whole.loadFromOptions({ ...config, clusters, users: config.users.map(withIssuer) });
  let held: { readonly headers: RequestOptions['headers']; readonly until: number } | undefined;
  return async (_, into) => {
    // Of a token that it has renewed itself, the library takes the time that is left for the one at which it ends.
    if (held !== undefined && clock.now() < held.until) {
      into.headers = held.headers;
      return;
    }
    const applied: RequestOptions = {};
    await whole.applyToHTTPSOptions(applied);
    Object.assign(into, applied);
    requireLogin(into);
    held = { headers: into.headers, until: endOf(into) - EARLY_MS };
  };
}

/** It hands the address on as a text, and gets an error for it: a URL is wanted there. */
function withIssuer(user: User): User {
  const config: unknown = user.authProvider?.config;
  const issuer = isObject(config) ? config['idp-issuer-url'] : undefined;
  if (!isObject(config) || typeof issuer !== 'string' || !URL.canParse(issuer)) return user;
  return {
    ...user,
    authProvider: { ...user.authProvider, config: { ...config, 'idp-issuer-url': new URL(issuer) } },
  };
}

/** Of an id token, in milliseconds since 1970; of anything else it is not known, and so it is asked for again. */
function endOf({ headers }: RequestOptions): number {
  const header = isObject(headers) ? headers.Authorization : undefined;
  const [, claims = ''] = typeof header === 'string' ? header.split('.') : [];
  const exp = parseObject(Buffer.from(claims, 'base64url').toString('utf8'))?.exp;
  return typeof exp === 'number' ? exp * 1_000 : 0;
}
