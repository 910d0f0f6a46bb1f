import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { SecretValue } from '../core/secret-value.ts';
import { createAttemptLimiter, evictOldest } from './attempt-limiter.ts';
import { type Authenticator, createDigest, type Identity } from './identity.ts';

const MAX_ACCEPTED = 1_000;

export interface RequestAuthenticator {
  /**
   * @param address The network address that failures are counted by. Many clients may share it.
   * @throws AppError UNAUTHENTICATED, RATE_LIMITED, and the errors of the authenticator.
   */
  identify(authorization: string | undefined, address: string): Promise<Identity>;
}

/**
 * Limits token guessing by address. After too many failures an address gets no answer about any token, right or wrong,
 * until the window has passed. A token that was accepted from the address before still works, so an attacker behind a
 * shared proxy does not lock out other users.
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

/** Returns the token as the bytes that were sent (RFC 6750, section 2.1). Node decodes headers as Latin-1. */
function bearerToken(authorization: string | undefined): SecretValue | undefined {
  const token = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  return token === undefined ? undefined : SecretValue.fromBytes(Buffer.from(token, 'latin1'));
}
