/** A person or a machine, as its login names it. Records name people in this way. */
export interface Person {
  /** The name to show: of a token in `http.tokens`, of a Kubernetes identity, or from an OIDC provider. */
  readonly name: string;
  /** For a login by OIDC: `<issuer>#<subject>`, which never changes and belongs to one person. */
  readonly subject?: string;
  /** For a login by OIDC: the other names that the provider gives the person, in lower case. */
  readonly aliases?: readonly string[];
}

/** Copies the members of a person, so that a caller can spread them into a record. */
export function personOf({ name, subject, aliases }: Person): Person {
  return {
    name,
    ...(subject === undefined ? {} : { subject }),
    ...(aliases === undefined || aliases.length === 0 ? {} : { aliases }),
  };
}

/**
 * Whether two logins may belong to one person: they have the same subject, or a name in common. One person can have
 * several logins, such as a token and an OIDC account, so a common name counts although it is not verified.
 */
export function maybeSamePerson(one: Partial<Person>, other: Partial<Person>): boolean {
  if (one.subject !== undefined && one.subject === other.subject) return true;
  const names = namesOf(one);
  return [...namesOf(other)].some((name) => names.has(name));
}

/**
 * Whether two logins certainly belong to one person. Only a subject is unique, so a common name counts only if neither
 * login has a subject.
 */
export function isSamePerson(one: Partial<Person>, other: Partial<Person>): boolean {
  return one.subject === other.subject && (one.subject !== undefined || one.name === other.name);
}

function namesOf({ name, subject, aliases = [] }: Partial<Person>): ReadonlySet<string> {
  const idAtProvider = subject?.slice(subject.indexOf('#') + 1);
  // The API server names a person `<issuer>#<subject>`, or with a prefix of its own, such as `oidc:ann`.
  const withoutPrefix = name?.startsWith('system:') ? undefined : name?.slice(name.lastIndexOf(':') + 1);
  const all = [name, withoutPrefix, subject, idAtProvider, ...aliases].filter((text) => text !== undefined);
  return new Set(all.map((text) => text.normalize('NFKC').toLowerCase()));
}
