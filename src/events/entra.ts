import type { FetchImplementation, JWTVerifyGetKey } from 'jose';
import { EnvHttpProxyAgent, request } from 'undici';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';

export interface EntraConfig {
  readonly tenantId: string;
  readonly audience: string;
}

/** Who sent a request, by a token of Microsoft Entra. */
export interface EntraProof {
  /** @param authorization The header. @throws AppError STORE_UNAVAILABLE while the keys cannot be fetched. */
  holds(authorization: string | undefined): Promise<boolean>;
  /** Fetches the keys. @throws AppError STORE_UNAVAILABLE */
  ready(): Promise<void>;
}

export interface EntraDeps {
  /** Of the store: its cloud is the one whose tokens count. */
  readonly vaultUrl: string;
  readonly clock: Clock;
  /** Where the keys are, for tests. */
  readonly authority?: string | undefined;
}

/**
 * Assigned to Event Grid when a subscription is made that sends tokens, and what makes its token differ from one that
 * anybody in the tenant can get for the same audience.
 * https://learn.microsoft.com/en-us/azure/event-grid/secure-webhook-delivery
 */
const ROLE = 'AzureEventGridSecureWebhookSubscriber';
const SKEW_SECONDS = 60;
/** A key that is not among those known is looked for at once, but so often at most. */
const KEYS_MS = 3_600_000;
const AGAIN_MS = 30_000;
const FETCH_MS = 5_000;
/** How often at most it is tried while the keys cannot be fetched. */
const FAILED_MS = 1_000;
/** Longer than any token of Entra, and what it costs to look at one is bounded. */
const LONGEST = 8_192;

interface Cloud {
  readonly authority: string;
  /** Of tokens of version 1, before the tenant. */
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

/** Through `HTTPS_PROXY`, as the logins of the store beside it go: elsewhere there may be no way to Microsoft. */
const fetchByProxy: FetchImplementation = async (url, { headers, signal }) => {
  const tls = { rejectUnauthorized: true };
  const agent = new EnvHttpProxyAgent({ allowH2: false, connect: tls, requestTls: tls, proxyTls: tls });
  try {
    const { statusCode, body } = await request(url, { dispatcher: agent, headers, signal });
    return new Response(await body.text(), { status: statusCode });
  } finally {
    // A proxy that hangs would be waited for by `close`.
    await agent.destroy();
  }
};

/** https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens#validate-tokens */
export function createEntraProof(config: EntraConfig, { vaultUrl, clock, authority }: EntraDeps): EntraProof {
  const { hostname } = new URL(vaultUrl);
  const cloud = SOVEREIGN.find(([suffix]) => hostname.endsWith(suffix))?.[1] ?? PUBLIC;
  const tenant = config.tenantId.toLowerCase();
  const issuer = [`${cloud.authority}/${tenant}/v2.0`, `${cloud.issuer}/${tenant}/`];
  const address = new URL(`/${tenant}/discovery/v2.0/keys`, authority ?? cloud.authority);
  let opened: Promise<Awaited<ReturnType<typeof open>>> | undefined;
  let failed: { readonly error: AppError; readonly at: number } | undefined;

  const open = async () => {
    const jose = await import('jose');
    const times = { cacheMaxAge: KEYS_MS, cooldownDuration: AGAIN_MS, timeoutDuration: FETCH_MS };
    const remote = jose.createRemoteJWKSet(address, { ...times, [jose.customFetch]: fetchByProxy });
    /** What is wrong with the token stays what it is; all else is a matter of the keys. */
    const fetching = async <T>(work: () => Promise<T>): Promise<T> => {
      if (failed !== undefined && Math.abs(clock.now() - failed.at) < FAILED_MS) throw failed.error;
      try {
        return await work();
      } catch (cause) {
        const { JWKSNoMatchingKey, JWKSMultipleMatchingKeys, JOSENotSupported } = jose.errors;
        const isToken = [JWKSNoMatchingKey, JWKSMultipleMatchingKeys, JOSENotSupported].some(
          (kind) => cause instanceof kind,
        );
        if (isToken) throw cause;
        const detail = 'the keys of Microsoft Entra cannot be fetched';
        failed = { error: new AppError('STORE_UNAVAILABLE', { detail, cause }), at: clock.now() };
        throw failed.error;
      }
    };
    const key: JWTVerifyGetKey = (header, token) => fetching(() => remote(header, token));
    return { jose, key, reload: () => fetching(() => remote.reload()) };
  };
  const opening = () => {
    opened ??= open();
    return opened;
  };

  return {
    async holds(authorization = '') {
      const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization)?.[1];
      if (token === undefined || token.length > LONGEST) return false;
      const { jose, key } = await opening();
      try {
        const { payload } = await jose.jwtVerify(token, key, {
          algorithms: ['RS256'],
          audience: config.audience,
          issuer,
          clockTolerance: SKEW_SECONDS,
          currentDate: new Date(clock.now()),
          requiredClaims: ['exp'],
        });
        return Array.isArray(payload.roles) && payload.roles.includes(ROLE);
      } catch (error) {
        if (error instanceof jose.errors.JOSEError) return false;
        throw error;
      }
    },
    ready: async () => (await opening()).reload(),
  };
}
