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
  /** When `http.kubernetes` is on. */
  readonly identities?: Identities;
  readonly clock?: Clock;
  /** Told the names that have one token between them. */
  readonly onShared?: (names: readonly string[]) => void;
}

/** Static tokens first, since they cost nothing and hold while the API server is down. */
export function createAuthenticator(options: AuthOptions): Authenticator {
  const { tokens, identities, clock = systemClock, onShared = () => undefined } = options;
  const fixed = createStaticTokens(tokens, onShared);
  const cluster = identities === undefined ? undefined : createClusterLogins(identities, clock);
  return {
    async identify(token) {
      return (await fixed.identify(token)) ?? cluster?.identify(token);
    },
  };
}

function createStaticTokens(
  tokens: readonly StaticToken[],
  onShared: (names: readonly string[]) => void,
): Authenticator {
  const digest = createDigest();
  // An empty token is nobody's: a credential file may be empty by mistake.
  const given = tokens.filter(({ token }) => token.size > 0);
  const known: { readonly name: string; readonly rank: number; readonly digest: Buffer }[] = [];
  for (const [text, [one, ...others]] of Map.groupBy(given, ({ token }) => digest(token))) {
    if (one === undefined) continue;
    // Who it was could not be told, and what one of them did would be on record as the other's.
    if (others.length > 0) onShared([one, ...others].map(({ name }) => name));
    else known.push({ name: one.name, rank: ROLES.indexOf(one.role), digest: Buffer.from(text) });
  }
  return {
    async identify(token) {
      const presented = Buffer.from(digest(token));
      // All of them, so that the time says nothing about which one it is, or how much of it is right.
      const [found] = known.filter((one) => timingSafeEqual(one.digest, presented));
      if (found === undefined) return undefined;
      return { name: found.name, may: async (role) => ROLES.indexOf(role) <= found.rank };
    },
  };
}
