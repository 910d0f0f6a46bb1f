import { randomBytes, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Caller, Identities } from '../cluster/cluster.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { createFingerprinter } from '../core/fingerprint.ts';
import { SecretValue } from '../core/secret-value.ts';

/** The roles. A role includes all roles before it in this list. */
export const ROLES = ['viewer', 'reviewer', 'operator'] as const;
export type Role = (typeof ROLES)[number];

/** The owner of a valid token. */
export interface Identity {
  /** The name for audit records. */
  readonly name: string;
  /** Checks whether the identity has a role. @throws AppError when the check cannot be made. */
  may(role: Role): Promise<boolean>;
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

/**
 * Caches positive and negative answers for a limited time. Failures are not cached. Concurrent callers with the same
 * key share one call of `load`.
 */
interface AnswerCache<T> {
  get(key: string, load: () => Promise<T>): Promise<T>;
}

interface AnswerCacheOptions<T> {
  readonly clock: Clock;
  /** The maximum number of cached positive answers. The same maximum applies to cached negative answers. */
  readonly max: number;
  readonly positiveTtlMs: number;
  readonly negativeTtlMs: number;
  isPositive(answer: T): boolean;
}

interface CacheEntry<T> {
  readonly answer: T;
  readonly at: number;
  readonly ttlMs: number;
}

export function createAnswerCache<T>({
  clock,
  max,
  positiveTtlMs,
  negativeTtlMs,
  isPositive,
}: AnswerCacheOptions<T>): AnswerCache<T> {
  // Use separate maps, so that a flood of invented tokens does not evict the answers for valid tokens.
  const positive = new LRUCache<string, CacheEntry<T>>({ max });
  const negative = new LRUCache<string, CacheEntry<T>>({ max });
  const loading = new Map<string, Promise<T>>();

  function store(key: string, answer: T): void {
    const [entries, ms] = isPositive(answer) ? [positive, positiveTtlMs] : [negative, negativeTtlMs];
    entries.set(key, { answer, at: clock.now(), ttlMs: ms });
  }

  async function loadAndStore(key: string, load: () => Promise<T>): Promise<T> {
    try {
      const answer = await load();
      store(key, answer);
      return answer;
    } finally {
      loading.delete(key);
    }
  }

  return {
    async get(key, load) {
      for (const entries of [positive, negative]) {
        const entry = entries.get(key);
        // Compare the absolute difference. Otherwise, after the clock is set back, an entry could stay valid for hours.
        if (entry !== undefined && Math.abs(clock.now() - entry.at) < entry.ttlMs) return entry.answer;
        entries.delete(key);
      }
      const inFlight = loading.get(key);
      if (inFlight !== undefined) return inFlight;
      const started = loadAndStore(key, load);
      loading.set(key, started);
      return started;
    },
  };
}

const AUDIENCE = 'secretbridge';
const TIMEOUT_MS = 5_000;
/**
 * The maximum number of concurrent requests. Without this limit, a flood of invented tokens would use up the request
 * rate that the API server allows.
 */
const MAX_CONCURRENT = 16;
/** The lifetime of a cached answer. A token or role can still be used for this time after it was revoked. */
const POSITIVE_TTL_MS = 60_000;
const NEGATIVE_TTL_MS = 10_000;
const MAX_ANSWERS = 1_000;

/** Authenticates Kubernetes tokens. The roles of a caller are determined by the cluster's RBAC. */
function createClusterLogins(identities: Identities, clock: Clock): Authenticator {
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

interface StaticToken {
  readonly name: string;
  readonly role: Role;
  readonly token: SecretValue;
}

export interface AuthOptions {
  readonly tokens: readonly StaticToken[];
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
  const { tokens, identities, clock = systemClock, onSharedToken = () => undefined } = options;
  const staticLogins = createStaticTokens(tokens, onSharedToken);
  const clusterLogins = identities === undefined ? undefined : createClusterLogins(identities, clock);
  return {
    async identify(token) {
      return (await staticLogins.identify(token)) ?? clusterLogins?.identify(token);
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
  const accepted: { readonly name: string; readonly rank: number; readonly digest: Buffer }[] = [];
  for (const [tokenDigest, [first, ...others]] of Map.groupBy(nonEmpty, ({ token }) => digest(token))) {
    if (first === undefined) continue;
    // Reject a token that several entries share, because the audit log could not distinguish its owners.
    if (others.length > 0) onSharedToken([first, ...others].map(({ name }) => name));
    else
      accepted.push({ name: first.name, rank: ROLES.indexOf(first.role), digest: Buffer.from(tokenDigest) });
  }
  return {
    async identify(token) {
      const presented = Buffer.from(digest(token));
      // Compare the given token with every configured token. Otherwise the duration would reveal which token matches,
      // or how much of a token matches.
      const [match] = accepted.filter((candidate) => timingSafeEqual(candidate.digest, presented));
      if (match === undefined) return undefined;
      return { name: match.name, may: async (role) => ROLES.indexOf(role) <= match.rank };
    },
  };
}
