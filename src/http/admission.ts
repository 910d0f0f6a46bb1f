import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { SecretValue } from '../core/secret-value.ts';
import { bounded, createGuesses } from './guesses.ts';
import { type Authenticator, createDigest, type Identity } from './identity.ts';

const MAX_KNOWN = 1_000;

export interface Admission {
  /**
   * @param address By which guesses are counted: one behind which many may be.
   * @throws AppError UNAUTHENTICATED, RATE_LIMITED, and what the authenticator throws.
   */
  identify(authorization: string | undefined, address: string): Promise<Identity>;
}

/**
 * Stops an address that guesses. Once it has, it gets no answer about a token, right or wrong, until the window
 * has passed; a token that was accepted from it before still is, so that one who guesses behind a proxy does not
 * lock out the others.
 */
export function createAdmission(auth: Authenticator, clock: Clock): Admission {
  const digest = createDigest();
  const guesses = createGuesses(clock);
  const known = new Set<string>();

  return {
    async identify(authorization, address) {
      const token = bearer(authorization);
      if (token === undefined) throw new AppError('UNAUTHENTICATED');
      const mark = `${address} ${digest(token)}`;
      if (!known.has(mark)) guesses.check(address);
      const identity = await auth.identify(token);
      if (identity === undefined) {
        known.delete(mark);
        guesses.note(address);
        throw new AppError('UNAUTHENTICATED');
      }
      if (!known.has(mark)) bounded(known, MAX_KNOWN).add(mark);
      return identity;
    },
  };
}

/** The token as the bytes that were sent (RFC 6750, section 2.1). Node gives headers as Latin-1. */
function bearer(authorization: string | undefined): SecretValue | undefined {
  const token = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  return token === undefined ? undefined : SecretValue.fromBytes(Buffer.from(token, 'latin1'));
}
