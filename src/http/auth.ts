import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Caller, Identities } from '../cluster/cluster.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { createFingerprinter } from '../core/fingerprint.ts';
import type { Person } from '../core/person.ts';
import { type Namespaces, namespacesOf, type Role, sufficientRoles } from '../core/roles.ts';
import { SecretValue } from '../core/secret-value.ts';
import { createSemaphore } from '../core/semaphore.ts';
import { createAnswerCache } from './answer-cache.ts';

/** The owner of a valid token or session, as records name the owner. */
export interface Identity extends Person {
  /** The groups at the OIDC provider or in Kubernetes. Empty for static tokens. */
  readonly groups: readonly string[];
  /** When the session ends, in milliseconds since 1970. Undefined for tokens, which have no session. */
  readonly endsAt?: number;
  /**
   * Returns the namespaces in which the identity has a role. Undefined: it has the role nowhere.
   * @param existing Returns the namespaces to check, for identities without globs.
   * @throws AppError when the check cannot be made.
   */
  namespaces(role: Role, existing: () => Promise<readonly string[]>): Promise<Namespaces | undefined>;
}

export interface Authenticator {
  /**
   * Returns undefined for an unknown token. @throws AppError when the token cannot be checked, such as
   * CLUSTER_UNAVAILABLE.
   */
  identify(token: SecretValue): Promise<Identity | undefined>;
}

/**
 * Returns a function that computes digests of tokens with a random key. The digests are useless outside of this
 * process, and all digests have the same length.
 */
export function createDigest(): (token: SecretValue) => string {
  const fingerprints = createFingerprinter(SecretValue.fromBytes(randomBytes(32)));
  return (token) => fingerprints.value(token);
}

const AUDIENCE = 'secretbridge';
const TIMEOUT_MS = 5_000;
/**
 * The maximum number of concurrent requests. Without this limit, a flood of invented tokens would use up the request
 * rate that the API server allows.
 */
const MAX_CONCURRENT = 16;
/**
 * The lifetime of a cached answer. A token or role can still be used for this time after it was revoked. With the
 * timeout of a request, it ends within 15 s.
 */
const POSITIVE_TTL_MS = 10_000;
const NEGATIVE_TTL_MS = 10_000;
const MAX_ANSWERS = 1_000;
/** The same limits for roles in single namespaces. One person causes an answer for each namespace. */
const MAX_NAMESPACE_ANSWERS = 50_000;
const NAMESPACE_NEGATIVE_TTL_MS = 60_000;
/** The maximum number of concurrent reviews in single namespaces. Further reviews wait. */
const MAX_CONCURRENT_NAMESPACES = 8;

/** Answers questions about Kubernetes tokens, from a cache or from the API server. */
interface Reviews {
  /** Undefined for an unknown token. */
  caller(token: SecretValue): Promise<Caller | undefined>;
  /** @param namespace Undefined: whether the caller has the role in all namespaces. */
  hasRole(token: SecretValue, caller: Caller, role: Role, namespace?: string): Promise<boolean>;
}

function createReviews(identities: Identities, clock: Clock): Reviews {
  const digest = createDigest();
  const limits = { clock, max: MAX_ANSWERS, positiveTtlMs: POSITIVE_TTL_MS, negativeTtlMs: NEGATIVE_TTL_MS };
  const callers = createAnswerCache<Caller | undefined>({
    ...limits,
    isPositive: (caller) => caller !== undefined,
  });
  const roles = createAnswerCache<boolean>({ ...limits, isPositive: (allowed) => allowed });
  const namespaceRoles = createAnswerCache<boolean>({
    ...limits,
    max: MAX_NAMESPACE_ANSWERS,
    negativeTtlMs: NAMESPACE_NEGATIVE_TTL_MS,
    isPositive: (allowed) => allowed,
  });
  const namespaceReviews = createSemaphore(MAX_CONCURRENT_NAMESPACES);
  let inFlight = 0;

  async function limitFlood<T>(request: () => Promise<T>): Promise<T> {
    if (inFlight >= MAX_CONCURRENT) throw new AppError('RATE_LIMITED', { retryAfterMs: 1_000 });
    inFlight += 1;
    try {
      return await request();
    } finally {
      inFlight -= 1;
    }
  }

  return {
    caller: (token) =>
      callers.get(digest(token), () =>
        limitFlood(() => inTime((signal) => identities.review(token, AUDIENCE, { signal }))),
      ),
    hasRole(token, caller, role, namespace) {
      const review = () => inTime((signal) => identities.canUseRole(caller, role, { namespace, signal }));
      const key = `${digest(token)} ${role}`;
      if (namespace === undefined) return roles.get(key, () => limitFlood(review));
      return namespaceRoles.get(`${key} ${namespace}`, () => namespaceReviews.run(review));
    },
  };
}

async function inTime<T>(request: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await request(signal);
  } catch (error) {
    if (error instanceof AppError || !signal.aborted) throw error;
    throw new AppError('CLUSTER_UNAVAILABLE', {
      detail: 'the API server did not answer in time',
      cause: error,
    });
  }
}

/** Authenticates Kubernetes tokens. The roles of a caller are determined by the cluster's RBAC. */
function createClusterLogins(reviews: Reviews): Authenticator {
  return {
    async identify(token) {
      const caller = await reviews.caller(token);
      if (caller === undefined) return undefined;
      return {
        name: caller.name,
        groups: caller.groups,
        async namespaces(requiredRole, existing) {
          const sufficient = sufficientRoles(requiredRole);
          for (const role of sufficient) if (await reviews.hasRole(token, caller, role)) return 'all';
          const checks = (await existing()).map(async (namespace) => {
            for (const role of sufficient)
              if (await reviews.hasRole(token, caller, role, namespace)) return [namespace];
            return [];
          });
          const allowed = (await Promise.all(checks)).flat();
          return allowed.length === 0 ? undefined : namespacesOf(allowed);
        },
      };
    },
  };
}

interface StaticToken {
  readonly name: string;
  readonly role: Role;
  /** Globs. Undefined: all namespaces. */
  readonly namespaces?: readonly string[] | undefined;
  readonly token: SecretValue;
}

export interface AuthOptions {
  readonly tokens: readonly StaticToken[];
  /** Undefined if `http.oidc` is missing. */
  readonly oidc?: Authenticator | undefined;
  /** Undefined if `http.kubernetes` is off. */
  readonly identities?: Identities;
  readonly clock?: Clock;
  /** Called with the names of the entries that share one token. */
  readonly onSharedToken?: (names: readonly string[]) => void;
}

/**
 * Checks static tokens before Kubernetes tokens. The check of a static token needs no request, and works while the API
 * server is down.
 */
export function createAuthenticator(options: AuthOptions): Authenticator {
  const { tokens, oidc, identities, clock = systemClock, onSharedToken = () => undefined } = options;
  const staticLogins = createStaticTokens(tokens, onSharedToken);
  const clusterLogins =
    identities === undefined ? undefined : createClusterLogins(createReviews(identities, clock));
  return {
    async identify(token) {
      return (
        (await staticLogins.identify(token)) ??
        (await oidc?.identify(token)) ??
        clusterLogins?.identify(token)
      );
    },
  };
}

function createStaticTokens(
  tokens: readonly StaticToken[],
  onSharedToken: (names: readonly string[]) => void,
): Authenticator {
  const digest = createDigest();
  // Ignore empty tokens: a credential file may be empty by mistake.
  const nonEmpty = tokens.filter(({ token }) => token.size > 0);
  const accepted: (Pick<StaticToken, 'name' | 'role' | 'namespaces'> & { readonly digest: Buffer })[] = [];
  for (const [tokenDigest, [first, ...others]] of Map.groupBy(nonEmpty, ({ token }) => digest(token))) {
    if (first === undefined) continue;
    // Reject a token that several entries share, because the audit log could not distinguish its owners.
    if (others.length > 0) onSharedToken([first, ...others].map(({ name }) => name));
    else {
      const { name, role, namespaces } = first;
      accepted.push({ name, role, namespaces, digest: Buffer.from(tokenDigest) });
    }
  }
  return {
    async identify(token) {
      const presented = Buffer.from(digest(token));
      // Compare the given token with every configured token. Otherwise the duration would reveal which token matches,
      // or how much of a token matches.
      const [match] = accepted.filter((candidate) => timingSafeEqual(candidate.digest, presented));
      if (match === undefined) return undefined;
      const { name, role, namespaces } = match;
      return {
        name,
        groups: [],
        namespaces: async (requiredRole) =>
          sufficientRoles(requiredRole).includes(role) ? namespacesOf(namespaces) : undefined,
      };
    },
  };
}
