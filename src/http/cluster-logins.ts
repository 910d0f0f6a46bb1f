import type { Caller, Identities } from '../cluster/identities.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { createAnswerCache } from './answer-cache.ts';
import { type Authenticator, createDigest, ROLES } from './identity.ts';

const AUDIENCE = 'secretbridge';
const TIMEOUT_MS = 5_000;
/** Questions under way at a time: made-up tokens must not use up the rate at which we may ask the API server. */
const AT_ONCE = 16;
/** How long an answer holds. A token that was revoked, or a role that was taken away, works this long at most. */
const YES_MS = 60_000;
const NO_MS = 10_000;
const MAX_ANSWERS = 1_000;

/** Holders of Kubernetes tokens, and the roles that the cluster's own rules give them. */
export function createClusterLogins(identities: Identities, clock: Clock): Authenticator {
  const digest = createDigest();
  const limits = { clock, max: MAX_ANSWERS, yesMs: YES_MS, noMs: NO_MS };
  const callers = createAnswerCache<Caller | undefined>({
    ...limits,
    isYes: (caller) => caller !== undefined,
  });
  const rights = createAnswerCache<boolean>({ ...limits, isYes: (allowed) => allowed });
  let asking = 0;

  async function ask<T>(question: (options: { signal: AbortSignal }) => Promise<T>): Promise<T> {
    if (asking >= AT_ONCE) throw new AppError('RATE_LIMITED', { retryAfterMs: 1_000 });
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    asking += 1;
    try {
      return await question({ signal });
    } catch (error) {
      if (error instanceof AppError || !signal.aborted) throw error;
      throw new AppError('CLUSTER_UNAVAILABLE', { detail: 'it did not answer in time', cause: error });
    } finally {
      asking -= 1;
    }
  }

  return {
    async identify(token) {
      const key = digest(token);
      const caller = await callers.get(key, () =>
        ask((options) => identities.review(token, AUDIENCE, options)),
      );
      if (caller === undefined) return undefined;
      const holds = (role: string): Promise<boolean> =>
        rights.get(`${key} ${role}`, () => ask((options) => identities.mayUse(caller, role, options)));
      return {
        name: caller.name,
        async may(needed) {
          for (const role of ROLES.slice(ROLES.indexOf(needed))) if (await holds(role)) return true;
          return false;
        },
      };
    },
  };
}
