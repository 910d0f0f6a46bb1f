import { StoreConfig } from '../../config/schema.ts';
import { problemOf, type Refusal } from '../checks.ts';
import { createNode, createNotes, type Json, type Node, type Notes } from '../node.ts';
import { labelOf, type Objects, type ToolObject } from '../objects.ts';
import {
  accountOf,
  createNames,
  type Names,
  type SecretRefs,
  type Store,
  type StoreContext,
} from '../store.ts';
import { awsStore } from './aws.ts';
import { azureStore } from './azure.ts';
import { type Bounds, boundsOf } from './namespaces.ts';
import { vaultStore } from './vault.ts';

function convertStore(context: StoreContext): Store | undefined {
  const { object, notes } = context;
  const spec = createNode(object.spec, 'spec', notes);
  // Ignore retry settings, check interval and controller class, which have no equivalent. The `access` rules are
  // derived from `conditions`.
  spec.ignore('retrySettings', 'refreshInterval', 'controller', 'conditions');
  const provider = spec.child('provider');
  const store = provider === undefined ? undefined : convertProvider(provider, context);
  spec.finish();
  if (provider === undefined)
    notes.lost('spec.provider', 'is missing', 'Fix the object, and import it again.');
  return notes.incomplete ? undefined : store;
}

function convertProvider(provider: Node, context: StoreContext): Store | undefined {
  const vault = provider.child('vault') ?? provider.child('openBao');
  if (vault !== undefined) return vaultStore(vault, context);
  const aws = provider.child('aws');
  if (aws !== undefined) return awsStore(aws, context);
  const azure = provider.child('azurekv');
  if (azure !== undefined) return azureStore(azure, context);
  const [kind = 'none'] = Object.keys(
    typeof context.object.spec.provider === 'object' ? (context.object.spec.provider ?? {}) : {},
  );
  provider.ignore(kind);
  context.notes.lost(
    `spec.provider.${kind}`,
    'is a kind of store that secretbridge does not read; it reads Vault, OpenBao, AWS Secrets Manager, Azure Key Vault and files',
    'Keep the objects that use it with External Secrets, or move its values into one of these stores.',
  );
  return undefined;
}

export interface ImportedStores {
  /** Finds the store of a reference for objects in these namespaces. Adds a note if the store is not available. */
  find(
    ref: Node | undefined,
    at: string,
    of: { readonly users: readonly string[]; readonly notes: Notes },
  ): Store | undefined;
  /** Returns the converted stores. Call this after all mappings are converted. */
  finish(): readonly ImportedStore[];
}

export interface ImportedStore {
  readonly object: ToolObject;
  readonly notes: Notes;
  readonly storeConfigs: readonly Json[];
  readonly bounds: Bounds;
}

interface Entry {
  readonly object: ToolObject;
  readonly notes: Notes;
  readonly store: Store | undefined;
  readonly users: Set<string>;
}

interface EntryContext {
  readonly accounts: Objects['accounts'];
  readonly names: Names;
  readonly secrets: SecretRefs;
  readonly refused: ReadonlyMap<string, Refusal>;
}

function entryOf(object: ToolObject, { accounts, names, secrets, refused }: EntryContext): Entry {
  const notes = createNotes();
  const account = (ref: Node | undefined) => {
    const accountId = accountOf(ref, object.namespace);
    return accounts.find(
      ({ namespace, name }) => namespace === accountId?.namespace && name === accountId.name,
    );
  };
  const name = names.take(
    object.namespace === undefined ? object.name : `${object.namespace}.${object.name}`,
    labelOf(object),
  );
  const store = convertStore({ object, name, names, notes, secrets, account });
  const [refusal] =
    store
      ?.storeConfigs()
      .flatMap(
        (storeConfigs) =>
          problemOf(StoreConfig, storeConfigs) ?? refused.get(String(storeConfigs.name)) ?? [],
      ) ?? [];
  if (refusal !== undefined) notes.lost(refusal.at, refusal.what, 'Write the store by hand.');
  return { object, notes, store: refusal === undefined ? store : undefined, users: new Set() };
}

/**
 * @param refused The stores that our configuration check rejects, with their names as keys. They are left out of the
 * result.
 */
export function importStores(
  { toolObjects, accounts }: Objects,
  secrets: SecretRefs,
  refused: ReadonlyMap<string, Refusal>,
): ImportedStores {
  const names = createNames();
  const entries = new Map<string, Entry>();
  const all = toolObjects.filter(({ kind }) => kind === 'SecretStore' || kind === 'ClusterSecretStore');
  // Convert namespaced stores first. Their names contain the namespace, so these names are unique.
  const inOrder = all.toSorted(
    (a, b) => Number(a.namespace === undefined) - Number(b.namespace === undefined),
  );
  for (const object of inOrder)
    entries.set(labelOf(object), entryOf(object, { accounts, names, secrets, refused }));

  return {
    find(ref, at, { users, notes }) {
      const kind = ref?.text('kind') === 'ClusterSecretStore' ? 'ClusterSecretStore' : 'SecretStore';
      const name = ref?.text('name');
      if (name === undefined) {
        notes.lost(at, 'names no store', 'Fix the object, and import it again.');
        return undefined;
      }
      const [namespace] = users;
      if (kind === 'SecretStore' && namespace === undefined) {
        notes.lost(
          at,
          'refers to a different store in each namespace, and the namespaces are unknown',
          'Use a ClusterSecretStore, or list the namespaces.',
        );
        return undefined;
      }
      const label = labelOf({ kind, name, namespace: kind === 'SecretStore' ? namespace : undefined });
      const entry = entries.get(label);
      for (const user of users) entry?.users.add(user);
      if (entry?.store !== undefined) return withoutRefused(refused, entry.store);
      if (entry === undefined)
        notes.lost(at, `${label} is not in the input`, 'Import it together with this object.');
      else notes.lost(at, `${label} was not converted`, 'See the findings of that store.');
      return undefined;
    },
    finish: () => [...entries.values()].map((entry) => finishStore(entry, refused)),
  };
}

/**
 * Rejects keys whose store was refused. If the keys of a store start with the mount, the store becomes one store for
 * each mount, and possibly only some of these stores are refused.
 */
function withoutRefused(refused: ReadonlyMap<string, Refusal>, store: Store): Store {
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

function finishStore(
  { object, notes, store, users }: Entry,
  refused: ReadonlyMap<string, Refusal>,
): ImportedStore {
  const storeConfigs = (store?.storeConfigs() ?? []).filter(({ name }) => !refused.has(String(name)));
  if (store !== undefined && storeConfigs.length === 0)
    notes.changed('spec.provider', 'names no mount, and no converted object uses it, so no store is created');
  const bounds =
    storeConfigs.length === 0 ? { namespaces: undefined } : boundsOf(object, [...users].toSorted(), notes);
  return { object, notes, storeConfigs: storeConfigs, bounds };
}
