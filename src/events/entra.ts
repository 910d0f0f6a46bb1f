import type * as Jose from 'jose';
import type { FetchImplementation, JWTVerifyGetKey } from 'jose';
import { EnvHttpProxyAgent, request } from 'undici';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';

export interface EntraConfig {
  readonly tenantId: string;
  readonly audience: string;
}

/** Verifies the Microsoft Entra tokens of event senders. */
export interface EntraVerifier {
  /**
   * @param authorization The `Authorization` header. @throws AppError STORE_UNAVAILABLE while the keys cannot be
   * fetched.
   */
  verify(authorization: string | undefined): Promise<boolean>;
  /** Fetches the signing keys. @throws AppError STORE_UNAVAILABLE */
  loadKeys(): Promise<void>;
}

export interface EntraDeps {
  /** The URL of the store's vault. It determines the Azure cloud whose tokens are accepted. */
  readonly vaultUrl: string;
  readonly clock: Clock;
  /** The address of the server with the signing keys. Set only in tests. */
  readonly authority?: string | undefined;
}

/**
 * The role that Event Grid has if a subscription was created with tokens. Anybody in the tenant can obtain a token for
 * the same audience, but only Event Grid's token contains this role.
 * https://learn.microsoft.com/en-us/azure/event-grid/secure-webhook-delivery
 */
const EVENT_GRID_ROLE = 'AzureEventGridSecureWebhookSubscriber';
const SKEW_SECONDS = 60;
/** How long the key set is cached. A token with an unknown key causes an earlier fetch, but only after the cooldown. */
const KEYS_CACHE_MS = 3_600_000;
const UNKNOWN_KEY_COOLDOWN_MS = 30_000;
const FETCH_TIMEOUT_MS = 5_000;
/** The minimum time between two attempts to fetch the keys while fetching fails. */
const FAILURE_COOLDOWN_MS = 1_000;
/** The maximum length of a token, which limits the cost of verifying it. Real Entra tokens are shorter than this. */
const MAX_TOKEN_LENGTH = 8_192;

interface Cloud {
  readonly authority: string;
  /** The issuer of version 1 tokens, without the tenant part. */
  readonly issuer: string;
}

const PUBLIC: Cloud = { authority: 'https://login.microsoftonline.com', issuer: 'https://sts.windows.net' };
const SOVEREIGN: readonly (readonly [suffix: string, cloud: Cloud])[] = [
  [
    '.vault.azure.cn',
    { authority: 'https://login.partner.microsoftonline.cn', issuer: 'https://sts.chinacloudapi.cn' },
  ],
  ['.vault.usgovcloudapi.net', { ...PUBLIC, authority: 'https://login.microsoftonline.us' }],
];

/** Fetches through `HTTPS_PROXY`, like the store's logins, because the proxy may be the only route to Microsoft. */
const fetchByProxy: FetchImplementation = async (url, { headers, signal }) => {
  const tls = { rejectUnauthorized: true };
  const agent = new EnvHttpProxyAgent({ allowH2: false, connect: tls, requestTls: tls, proxyTls: tls });
  try {
    const { statusCode, body } = await request(url, { dispatcher: agent, headers, signal });
    return new Response(await body.text(), { status: statusCode });
  } finally {
    // Do not use `close`, because it would wait for a proxy that does not respond.
    await agent.destroy();
  }
};

/**
 * Verifies tokens according to https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens#validate-tokens.
 */
export function createEntraVerifier(
  config: EntraConfig,
  { vaultUrl, clock, authority }: EntraDeps,
): EntraVerifier {
  const { hostname } = new URL(vaultUrl);
  const cloud = SOVEREIGN.find(([suffix]) => hostname.endsWith(suffix))?.[1] ?? PUBLIC;
  const tenant = config.tenantId.toLowerCase();
  const issuer = [`${cloud.authority}/${tenant}/v2.0`, `${cloud.issuer}/${tenant}/`];
  const address = new URL(`/${tenant}/discovery/v2.0/keys`, authority ?? cloud.authority);
  let keySet: Promise<KeySet> | undefined;
  const openOnce = () => {
    keySet ??= openKeySet(address, clock);
    return keySet;
  };

  return {
    async verify(authorization = '') {
      const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization)?.[1];
      if (token === undefined || token.length > MAX_TOKEN_LENGTH) return false;
      const { jose, key } = await openOnce();
      try {
        const { payload } = await jose.jwtVerify(token, key, {
          algorithms: ['RS256'],
          audience: config.audience,
          issuer,
          clockTolerance: SKEW_SECONDS,
          currentDate: new Date(clock.now()),
          requiredClaims: ['exp'],
        });
        return Array.isArray(payload.roles) && payload.roles.includes(EVENT_GRID_ROLE);
      } catch (error) {
        if (error instanceof jose.errors.JOSEError) return false;
        throw error;
      }
    },
    loadKeys: async () => (await openOnce()).reload(),
  };
}

interface KeySet {
  readonly jose: typeof Jose;
  readonly key: JWTVerifyGetKey;
  reload(): Promise<void>;
}

/** Fetches and caches the signing keys. While the keys cannot be fetched, the rate of attempts is limited. */
async function openKeySet(address: URL, clock: Clock): Promise<KeySet> {
  let lastFailure: { readonly error: AppError; readonly at: number } | undefined;
  const jose = await import('jose');
  const times = {
    cacheMaxAge: KEYS_CACHE_MS,
    cooldownDuration: UNKNOWN_KEY_COOLDOWN_MS,
    timeoutDuration: FETCH_TIMEOUT_MS,
  };
  const remote = jose.createRemoteJWKSet(address, { ...times, [jose.customFetch]: fetchByProxy });
  /** Rethrows errors about the token itself. Any other error is treated as a failure to fetch the keys. */
  const fetchKeys = async <T>(work: () => Promise<T>): Promise<T> => {
    if (lastFailure !== undefined && Math.abs(clock.now() - lastFailure.at) < FAILURE_COOLDOWN_MS)
      throw lastFailure.error;
    try {
      return await work();
    } catch (cause) {
      const { JWKSNoMatchingKey, JWKSMultipleMatchingKeys, JOSENotSupported } = jose.errors;
      const isTokenFault = [JWKSNoMatchingKey, JWKSMultipleMatchingKeys, JOSENotSupported].some(
        (kind) => cause instanceof kind,
      );
      if (isTokenFault) throw cause;
      const detail = 'the keys of Microsoft Entra cannot be fetched';
      lastFailure = { error: new AppError('STORE_UNAVAILABLE', { detail, cause }), at: clock.now() };
      throw lastFailure.error;
    }
  };
  const key: JWTVerifyGetKey = (header, token) => fetchKeys(() => remote(header, token));
  return { jose, key, reload: () => fetchKeys(() => remote.reload()) };
}
