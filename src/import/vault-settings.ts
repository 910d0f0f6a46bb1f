import type { Json, Notes } from './node.ts';

/** Adds the note that secretbridge logs in to Vault with its own service account. */
export function noteAccount(
  at: string,
  { who, role, more = '' }: { readonly who: string; readonly role: string; readonly more?: string },
  notes: Notes,
): void {
  notes.changed(
    at,
    `secretbridge logs in with its own service account, not with that of ${who}`,
    `Let the role \`${role}\` accept secretbridge's service account, or set another role.${more}`,
  );
}

/** Returns the address of a Vault server. Adds a note if the address is not encrypted. */
export function addressOf(address: string, at: string, notes: Notes): Json {
  if (!/^http:/i.test(address)) return { address };
  notes.changed(
    at,
    'uses plain http, which exposes tokens and values on the network; `allowHttp: true` allows it',
    'Set up TLS for the store, and remove `allowHttp`.',
  );
  return { address, allowHttp: true };
}

/** The mount and the key of a path in Vault. */
export interface Split {
  readonly mount: string;
  readonly key: string;
  /** Whether the first part of the path was used as the mount. */
  readonly guessed: boolean;
}

/**
 * Splits a path. The path may contain the mount and, in version 2 of the key/value engine, also `data/`.
 */
export function splitKey(
  given: string,
  { mount, kvVersion }: { readonly mount: string | undefined; readonly kvVersion: 1 | 2 },
): Split | undefined {
  const key = given.replace(/^\/+|\/+$/g, '');
  if (mount !== undefined) {
    let rest = key.startsWith(`${mount}/`) ? key.slice(mount.length + 1) : key;
    if (rest !== key && kvVersion === 2 && rest.startsWith('data/')) rest = rest.slice('data/'.length);
    return rest === '' ? undefined : { mount, key: rest, guessed: false };
  }
  const data = kvVersion === 2 ? key.indexOf('/data/') : -1;
  if (data > 0) return { mount: key.slice(0, data), key: key.slice(data + '/data/'.length), guessed: false };
  const slash = key.indexOf('/');
  if (slash < 1) return undefined;
  return { mount: key.slice(0, slash), key: key.slice(slash + 1), guessed: kvVersion === 1 };
}
