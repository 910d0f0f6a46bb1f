import type { Names } from './names.ts';
import type { Json, Node } from './node.ts';
import type { Notes } from './notes.ts';
import type { Account, Found } from './objects.ts';
import type { SecretRefs } from './secret-refs.ts';

/** A key of theirs, as a source of ours begins. */
export interface Place {
  readonly store: string;
  readonly key: string;
  readonly object?: 'certificate' | 'key';
}

/** A store of theirs that could be carried over. */
export interface Store {
  readonly kind: 'vault' | 'aws-secrets-manager' | 'azure-key-vault';
  readonly name: string;
  readonly kvVersion?: 1 | 2;
  /** What they put before each key. */
  readonly prefix?: string;
  /** `undefined` if such a key means nothing; then that is noted. */
  place(key: string, notes: Notes, at: string): Place | undefined;
  /** The name of our store that a search begins in; `undefined` if it has none. */
  readonly searched: string | undefined;
  /** Where the path of a search of theirs leads in that store; to itself, where this is left out. */
  readonly searchPath?: (path: string) => string;
  /** What it becomes: one store, or one for each mount that is used. */
  readonly ours: () => readonly Json[];
}

export interface StoreContext {
  readonly found: Found;
  readonly name: string;
  readonly names: Names;
  readonly notes: Notes;
  readonly secrets: SecretRefs;
  readonly account: (ref: Node | undefined) => Account | undefined;
}

/** Where a file of a store has to be put for the bridge. */
export function storeFile(store: string, file: string): string {
  return `/var/run/secretbridge/stores/${store}/${file}`;
}

/** Whose role the bridge has to be given, since it logs in as itself. */
export function accountOf(
  ref: Node | undefined,
  owner: string | undefined,
): { namespace: string; name: string } | undefined {
  const name = ref?.text('name');
  const namespace = owner ?? ref?.text('namespace');
  ref?.ignore('namespace');
  return name === undefined || namespace === undefined ? undefined : { namespace, name };
}
