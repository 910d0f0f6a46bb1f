import { StoreConfig } from '../config/schema.ts';
import { type Bounds, boundsOf } from './access.ts';
import { problemOf, type Refusal } from './checks.ts';
import { createNames } from './names.ts';
import type { Json, Node } from './node.ts';
import { createNotes, type Notes } from './notes.ts';
import { type Found, labelOf, type Objects } from './objects.ts';
import type { SecretRefs } from './secret-refs.ts';
import { accountOf, type Store } from './store.ts';
import { convertStore } from './stores.ts';

export interface ImportedStores {
  /** The store that a reference means to objects in these namespaces; what cannot be had is noted. */
  find(
    ref: Node | undefined,
    at: string,
    of: { readonly users: readonly string[]; readonly notes: Notes },
  ): Store | undefined;
  /** When everything is imported that uses them. */
  finish(): readonly ImportedStore[];
}

export interface ImportedStore {
  readonly found: Found;
  readonly notes: Notes;
  readonly ours: readonly Json[];
  readonly bounds: Bounds;
}

interface Entry {
  readonly found: Found;
  readonly notes: Notes;
  readonly store: Store | undefined;
  readonly users: Set<string>;
}

/** @param refused What our configuration refuses of stores of ours, by their names: they are not handed out. */
export function importStores(
  { found, accounts }: Objects,
  secrets: SecretRefs,
  refused: ReadonlyMap<string, Refusal>,
): ImportedStores {
  const names = createNames();
  const entries = new Map<string, Entry>();
  const all = found.filter(({ kind }) => kind === 'SecretStore' || kind === 'ClusterSecretStore');
  // Those of a namespace first: their names hold the namespace, and so are never two.
  const inOrder = all.toSorted(
    (a, b) => Number(a.namespace === undefined) - Number(b.namespace === undefined),
  );
  for (const it of inOrder) {
    const notes = createNotes();
    const account = (ref: Node | undefined) => {
      const wanted = accountOf(ref, it.namespace);
      return accounts.find(({ namespace, name }) => namespace === wanted?.namespace && name === wanted.name);
    };
    const name = names.take(it.namespace === undefined ? it.name : `${it.namespace}.${it.name}`, labelOf(it));
    const store = convertStore({ found: it, name, names, notes, secrets, account });
    const [wrong] =
      store?.ours().flatMap((ours) => problemOf(StoreConfig, ours) ?? refused.get(String(ours.name)) ?? []) ??
      [];
    if (wrong !== undefined) notes.lost(wrong.at, wrong.what, 'Write the store by hand.');
    entries.set(labelOf(it), {
      store: wrong === undefined ? store : undefined,
      notes,
      found: it,
      users: new Set(),
    });
  }

  return {
    find(ref, at, { users, notes }) {
      const kind = ref?.text('kind') === 'ClusterSecretStore' ? 'ClusterSecretStore' : 'SecretStore';
      const name = ref?.text('name');
      if (name === undefined) {
        notes.lost(at, 'names no store', 'Correct the object, and import it again.');
        return undefined;
      }
      const [namespace] = users;
      if (kind === 'SecretStore' && namespace === undefined) {
        notes.lost(
          at,
          'means another store in each namespace, and the namespaces are not known',
          'Use one store of the whole cluster, or name the namespaces.',
        );
        return undefined;
      }
      const label = labelOf({ kind, name, namespace: kind === 'SecretStore' ? namespace : undefined });
      const entry = entries.get(label);
      for (const user of users) entry?.users.add(user);
      if (entry?.store !== undefined) return without(refused, entry.store);
      if (entry === undefined)
        notes.lost(at, `${label} is not among what was read`, 'Import it together with this object.');
      else notes.lost(at, `${label} could not be carried over`, 'See what is said about that store.');
      return undefined;
    },
    finish: () => [...entries.values()].map((entry) => finished(entry, refused)),
  };
}

/** Where their keys name the mount, one of ours may be refused, and the others not. */
function without(refused: ReadonlyMap<string, Refusal>, store: Store): Store {
  return {
    ...store,
    place(key, notes, at) {
      const place = store.place(key, notes, at);
      const refusal = place && refused.get(place.store);
      if (refusal === undefined) return place;
      notes.lost(at, `\`${refusal.at}\` of its store ${refusal.what}`, 'Write the source by hand.');
      return undefined;
    },
  };
}

function finished(
  { found, notes, store, users }: Entry,
  refused: ReadonlyMap<string, Refusal>,
): ImportedStore {
  const ours = (store?.ours() ?? []).filter(({ name }) => !refused.has(String(name)));
  if (store !== undefined && ours.length === 0)
    notes.changed(
      'spec.provider',
      'names no mount, and nothing that is carried over uses it: it becomes no store',
    );
  const bounds =
    ours.length === 0 ? { namespaces: undefined } : boundsOf(found, [...users].toSorted(), notes);
  return { found, notes, ours, bounds };
}
