import { toPrintable } from '../core/errors.ts';
import { isObject } from '../core/json.ts';
import type { Person } from '../core/person.ts';

/** The verified claims of a provider about a person. */
export type Claims = Readonly<Record<string, unknown>> & { readonly iss: string; readonly sub: string };

/** A person who has signed in. */
export interface SignedIn {
  readonly person: Person;
  readonly groups: readonly string[];
}

/** A session is stored in a cookie, which has at most 4096 bytes. */
const MAX_NAME = 128;
const MAX_GROUP = 256;
const MAX_GROUPS_BYTES = 2_048;

/** @param wanted The groups of the configuration. They are kept if there are too many groups for a session. */
export function signedInOf(claims: Claims, groupsClaim: string, wanted: ReadonlySet<string>): SignedIn {
  const email = nameIn(claims, 'email');
  const isVerified = claims.email_verified === true || claims.email_verified === 'true';
  const names = [
    // People can often change their other names at the provider, but not a verified address.
    isVerified ? email : undefined,
    nameIn(claims, 'preferred_username'),
    nameIn(claims, 'upn'),
    email,
    nameIn(claims, 'name'),
  ].filter((name) => name !== undefined);
  const [name = toPrintable(claims.sub).slice(0, MAX_NAME), ...others] = names;
  const aliases = [...new Set(others.map((alias) => alias.toLowerCase()))].filter(
    (alias) => alias !== name.toLowerCase(),
  );
  return {
    person: { name, subject: `${claims.iss}#${claims.sub}`, aliases },
    groups: limitGroups(groupsIn(claims, groupsClaim) ?? [], wanted),
  };
}

function nameIn(claims: Claims, claim: string): string | undefined {
  const text = claims[claim];
  if (typeof text !== 'string' || text.trim() === '') return undefined;
  return toPrintable(text.trim()).slice(0, MAX_NAME);
}

/**
 * Returns the groups, or undefined if the claim is missing. A name with dots is first tried literally, as the properties
 * of sources are.
 */
export function groupsIn(
  claims: Readonly<Record<string, unknown>>,
  claim: string,
): readonly string[] | undefined {
  const value = Object.hasOwn(claims, claim) ? claims[claim] : memberAt(claims, claim.split('.'));
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) return undefined;
  return value.filter((group) => typeof group === 'string' && group.length <= MAX_GROUP);
}

function memberAt(value: unknown, [name, ...rest]: readonly string[]): unknown {
  if (name === undefined) return value;
  return isObject(value) && Object.hasOwn(value, name) ? memberAt(value[name], rest) : undefined;
}

function limitGroups(groups: readonly string[], wanted: ReadonlySet<string>): readonly string[] {
  const unique = [...new Set(groups)];
  const isWanted = (group: string) => wanted.has(group);
  let bytes = 0;
  return [...unique.filter(isWanted), ...unique.filter((group) => !isWanted(group))].filter((group) => {
    bytes += Buffer.byteLength(group) + 3;
    return bytes <= MAX_GROUPS_BYTES;
  });
}

/** Microsoft Entra leaves the groups out if there are more than 200, and names another source of them. */
export function areGroupsLeftOut(claims: Claims, groupsClaim: string): boolean {
  return isObject(claims._claim_names) && Object.hasOwn(claims._claim_names, groupsClaim);
}
