import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { SecretValue } from '../core/secret-value.ts';
import { createAttemptLimiter, evictOldest } from './attempt-limiter.ts';
import { type Authenticator, createDigest, type Identity } from './identity.ts';

const MAX_ACCEPTED = 1_000;

export interface RequestAuthenticator {
  /**
   * @param address The network address for counting failures. Several clients may share it.
   * @throws AppError UNAUTHENTICATED, RATE_LIMITED, and the errors of the authenticator.
   */
  identify(authorization: string | undefined, address: string): Promise<Identity>;
}

/**
 * Limits token guessing by address. After too many failures, all tokens of the address are rejected until the window
 * has passed, whether they are valid or not. A token that was accepted from this address before is still accepted. So
 * an attacker behind a shared proxy does not lock out other users.
 */
export function createRequestAuthenticator(auth: Authenticator, clock: Clock): RequestAuthenticator {
  const digest = createDigest();
  const attempts = createAttemptLimiter(clock);
  const accepted = new Set<string>();

  return {
    async identify(authorization, address) {
      const token = bearerToken(authorization);
      if (token === undefined) throw new AppError('UNAUTHENTICATED');
      const addressAndToken = `${address} ${digest(token)}`;
      if (!accepted.has(addressAndToken)) attempts.check(address);
      const identity = await auth.identify(token);
      if (identity === undefined) {
        accepted.delete(addressAndToken);
        attempts.recordFailure(address);
        throw new AppError('UNAUTHENTICATED');
      }
      if (!accepted.has(addressAndToken)) evictOldest(accepted, MAX_ACCEPTED).add(addressAndToken);
      return identity;
    },
  };
}

/** Returns the bytes of the token that the client sent (RFC 6750, section 2.1). Node decodes headers as Latin-1. */
function bearerToken(authorization: string | undefined): SecretValue | undefined {
  const token = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  return token === undefined ? undefined : SecretValue.fromBytes(Buffer.from(token, 'latin1'));
}
