import { matches } from './glob.ts';
import { ROLES } from './words.ts';

// What a person may do over HTTP, and in which namespaces.

export type Role = (typeof ROLES)[number];

/** Returns the roles that include this role, from the lowest to the highest. */
export function sufficientRoles(role: Role): readonly Role[] {
  return ROLES.slice(ROLES.indexOf(role));
}

/** Some namespaces, as globs for whole names. */
export interface NamespaceSet {
  readonly globs: readonly string[];
  /** Whether a glob matches the whole name. */
  has(namespace: string): boolean;
}

/** The namespaces in which a person has a role. */
export type Namespaces = 'all' | NamespaceSet;

/**
 * Returns the namespaces that match one of the globs.
 * @param globs Undefined: all namespaces.
 */
export function namespacesOf(globs: readonly string[] | undefined): Namespaces {
  // The name of a namespace contains no `/`, so `*` and `**` both match every name.
  if (globs === undefined || globs.some((glob) => /^\*+$/.test(glob))) return 'all';
  return { globs, has: (namespace) => globs.some((glob) => matches(glob, namespace)) };
}
