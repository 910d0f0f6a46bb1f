import type * as Jose from 'jose';
import type { CustomFetch, ServerMetadata } from 'openid-client';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Claims } from './claims.ts';
import { signInError } from './failures.ts';

/** Verifies tokens with the keys of the provider. */
export interface TokenVerifier {
  /**
   * @param origin A token from the provider itself may be signed with a new key, so its key is always looked for. A caller
   * can present any token, so unknown keys of callers cause few requests.
   * @throws An error of `jose`, or AppError
   */
  verify(token: string, origin: 'provider' | 'caller'): Promise<Claims>;
}

export interface TokenVerifierDeps {
  readonly clientId: string;
  readonly clock: Clock;
  readonly fetch: CustomFetch;
  /** How far the clocks of the provider and of this machine may differ. */
  readonly toleranceSeconds: number;
}

/** A longer token is refused before it is parsed. */
const MAX_TOKEN_LENGTH = 16_384;
const KEYS_CACHE_MS = 600_000;
/** A token with an unknown key causes an earlier request for the keys, but only after this time. */
const UNKNOWN_KEY_COOLDOWN_MS = 10_000;
const TIMEOUT_MS = 5_000;
const FAILURE_COOLDOWN_MS = 1_000;
/** Signatures only the provider can make. A symmetric algorithm would accept the secret of the client as a key. */
const ALGORITHMS = ['RS', 'PS', 'ES'].flatMap((family) => [256, 384, 512].map((bits) => `${family}${bits}`));
/** The types of ID tokens and access tokens (RFC 9068). Logout tokens (`logout+jwt`) are no logins. */
const TYPES: readonly (string | undefined)[] = [undefined, 'JWT', 'jwt', 'at+jwt', 'application/at+jwt'];

export async function createTokenVerifier(
  { issuer, jwks_uri: keysUrl }: ServerMetadata,
  { clientId, clock, fetch, toleranceSeconds }: TokenVerifierDeps,
): Promise<TokenVerifier> {
  const jose = await import('jose');
  if (keysUrl === undefined) throw signInError(['OIDC_UNAVAILABLE', 'the provider names no keys']);
  const keys = createKeySet(jose, new URL(keysUrl), { clock, fetch });
  const check = async (token: string): Promise<Claims> => {
    const now = clock.now();
    const { payload, protectedHeader } = await jose.jwtVerify(token, keys, {
      algorithms: [...ALGORITHMS, 'EdDSA', 'Ed25519'],
      issuer,
      audience: clientId,
      clockTolerance: toleranceSeconds,
      currentDate: new Date(now),
      requiredClaims: ['exp', 'sub'],
    });
    const { iat, azp, iss, sub } = payload;
    if (!TYPES.includes(protectedHeader.typ))
      throw signInError(['SIGN_IN_REFUSED', 'it is a token for another purpose']);
    if (azp !== undefined && azp !== clientId) throw claimError('azp');
    if (iat !== undefined && iat > now / 1_000 + toleranceSeconds) throw claimError('iat');
    return { ...payload, iss: String(iss), sub: String(sub) };
  };
  return {
    async verify(token, origin) {
      if (token.length > MAX_TOKEN_LENGTH) throw signInError(['SIGN_IN_REFUSED', 'the token is too long']);
      try {
        return await check(token);
      } catch (error) {
        if (origin === 'caller' || !(error instanceof jose.errors.JWKSNoMatchingKey)) throw error;
        await keys.reload();
        return check(token);
      }
    },
  };
}

/** Fetches and caches the keys of the provider. While the keys cannot be fetched, the rate of attempts is limited. */
function createKeySet(
  jose: typeof Jose,
  url: URL,
  { clock, fetch }: Pick<TokenVerifierDeps, 'clock' | 'fetch'>,
): ReturnType<typeof Jose.createRemoteJWKSet> {
  let lastFailure: { readonly error: unknown; readonly at: number } | undefined;
  return jose.createRemoteJWKSet(url, {
    cacheMaxAge: KEYS_CACHE_MS,
    cooldownDuration: UNKNOWN_KEY_COOLDOWN_MS,
    timeoutDuration: TIMEOUT_MS,
    [jose.customFetch]: async (keysUrl, { headers, signal }) => {
      // While fetching fails, each token would cause a request.
      if (lastFailure !== undefined && Math.abs(clock.now() - lastFailure.at) < FAILURE_COOLDOWN_MS)
        throw lastFailure.error;
      try {
        const answer = await fetch(keysUrl, {
          ...{
            method: 'GET',
            headers: Object.fromEntries(headers),
            signal,
            body: undefined,
            redirect: 'manual',
          },
        });
        if (answer.status !== 200)
          throw new AppError('OIDC_UNAVAILABLE', {
            detail: 'the provider answers with an unexpected status',
          });
        lastFailure = undefined;
        return answer;
      } catch (error) {
        lastFailure = { error, at: clock.now() };
        throw error;
      }
    },
  });
}

/** `failures.ts` converts this error as it does those of `jose`. */
function claimError(claim: string): Error {
  return Object.assign(new Error(claim), { claim });
}
