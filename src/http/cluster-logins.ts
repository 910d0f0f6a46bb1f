import type { Caller, Identities } from '../cluster/identities.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { createAnswerCache } from './answer-cache.ts';
import { type Authenticator, createDigest, ROLES } from './identity.ts';

const AUDIENCE = 'secretbridge';
const TIMEOUT_MS = 5_000;
/** The maximum number of concurrent requests. Invented tokens must not use up our request rate at the API server. */
const MAX_CONCURRENT = 16;
/** The lifetime of a cached answer. A revoked token or role can be used for this time. */
const POSITIVE_TTL_MS = 60_000;
const NEGATIVE_TTL_MS = 10_000;
const MAX_ANSWERS = 1_000;

/** Authenticates Kubernetes tokens. The roles of a caller are determined by the cluster's RBAC. */
export function createClusterLogins(identities: Identities, clock: Clock): Authenticator {
  const digest = createDigest();
  const limits = { clock, max: MAX_ANSWERS, positiveTtlMs: POSITIVE_TTL_MS, negativeTtlMs: NEGATIVE_TTL_MS };
  const callers = createAnswerCache<Caller | undefined>({
    ...limits,
    isPositive: (caller) => caller !== undefined,
  });
  const permissions = createAnswerCache<boolean>({ ...limits, isPositive: (allowed) => allowed });
  let inFlight = 0;

  async function callCluster<T>(request: (options: { signal: AbortSignal }) => Promise<T>): Promise<T> {
    if (inFlight >= MAX_CONCURRENT) throw new AppError('RATE_LIMITED', { retryAfterMs: 1_000 });
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    inFlight += 1;
    try {
      return await request({ signal });
    } catch (error) {
      if (error instanceof AppError || !signal.aborted) throw error;
      throw new AppError('CLUSTER_UNAVAILABLE', {
        detail: 'the API server did not answer in time',
        cause: error,
      });
    } finally {
      inFlight -= 1;
    }
  }

  return {
    async identify(token) {
      const key = digest(token);
      const caller = await callers.get(key, () =>
        callCluster((options) => identities.review(token, AUDIENCE, options)),
      );
      if (caller === undefined) return undefined;
      const hasRole = (role: string): Promise<boolean> =>
        permissions.get(`${key} ${role}`, () =>
          callCluster((options) => identities.canUseRole(caller, role, options)),
        );
      return {
        name: caller.name,
        async may(requiredRole) {
          for (const role of ROLES.slice(ROLES.indexOf(requiredRole))) if (await hasRole(role)) return true;
          return false;
        },
      };
    },
  };
}
