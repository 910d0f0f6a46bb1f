import { timingSafeEqual } from 'node:crypto';
import type { Identities } from '../cluster/identities.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { createClusterLogins } from './cluster-logins.ts';
import { type Authenticator, createDigest, ROLES, type Role } from './identity.ts';

export interface StaticToken {
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

/** Checks static tokens first: this needs no request, and works while the API server is down. */
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
      // Compare with every token, so that the duration reveals neither which token matches nor how much of it.
      const [match] = accepted.filter((candidate) => timingSafeEqual(candidate.digest, presented));
      if (match === undefined) return undefined;
      return { name: match.name, may: async (role) => ROLES.indexOf(role) <= match.rank };
    },
  };
}
