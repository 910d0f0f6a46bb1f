import type { Names } from './names.ts';
import type { Json, Node } from './node.ts';
import type { Notes } from './notes.ts';
import type { Account, ExternalObject } from './objects.ts';
import type { SecretRefs } from './secret-refs.ts';

/** The store and key of a converted source. */
export interface Place {
  readonly store: string;
  readonly key: string;
  readonly object?: 'certificate' | 'key';
}

/** A converted store. */
export interface Store {
  readonly kind: 'vault' | 'aws-secrets-manager' | 'azure-key-vault';
  readonly name: string;
  readonly kvVersion?: 1 | 2;
  /** The prefix that External Secrets adds to each key. */
  readonly prefix?: string;
  /** Converts a key. Returns `undefined` and adds a note if the key is not valid in this store. */
  place(key: string, notes: Notes, at: string): Place | undefined;
  /** The name of the store to use for searches. `undefined` if the store cannot be searched. */
  readonly searched: string | undefined;
  /** Converts the path of a search. Default: unchanged. */
  readonly searchPath?: (path: string) => string;
  /** Returns the store configurations: one store, or one for each mount that is used. */
  readonly storeConfigs: () => readonly Json[];
}

export interface StoreContext {
  readonly object: ExternalObject;
  readonly name: string;
  readonly names: Names;
  readonly notes: Notes;
  readonly secrets: SecretRefs;
  readonly account: (ref: Node | undefined) => Account | undefined;
}

/** The path where the bridge expects a file that belongs to a store. */
export function storeFile(store: string, file: string): string {
  return `/var/run/secretbridge/stores/${store}/${file}`;
}

/** The service account whose role the bridge needs, because the bridge logs in with its own account. */
export function accountOf(
  ref: Node | undefined,
  owner: string | undefined,
): { namespace: string; name: string } | undefined {
  const name = ref?.text('name');
  const namespace = owner ?? ref?.text('namespace');
  ref?.ignore('namespace');
  return name === undefined || namespace === undefined ? undefined : { namespace, name };
}
