import { StoreConfig } from '../config/schema.ts';
import { problemOf, type Refused } from './checks.ts';
import { type Json, type Notes, nameOf } from './node.ts';
import { createNames } from './store.ts';
import type { Converted } from './tool.ts';

/** Stores that are made from the settings of objects. Equal settings become one store. */
export interface DerivedStores {
  /**
   * Returns the name of the store with these settings. Returns `undefined` and adds a note if the configuration check
   * rejects the store.
   * @param settings Returns the settings without the name. Some settings contain the name of the store.
   */
  use(settings: (name: string) => Json, user: StoreUser): string | undefined;
  finish(): Converted;
}

interface StoreUser {
  /** The preferred name of the store. */
  readonly preferred: string;
  /** The namespaces that use the store. `undefined`: any namespace. */
  readonly namespaces: readonly string[] | undefined;
  readonly notes: Notes;
  /** The path of the settings, for notes. */
  readonly at: string;
}

interface Entry {
  readonly config: Json;
  /** `undefined`: any namespace. */
  namespaces: Set<string> | undefined;
}

export function createDerivedStores(refused: Refused['stores']): DerivedStores {
  const names = createNames();
  const entries = new Map<string, Entry>();
  return {
    use(settings, { preferred, namespaces, notes, at }) {
      const identity = JSON.stringify(settings('*'));
      const existing = entries.get(identity);
      const name = existing === undefined ? names.take(preferred, identity) : nameOf(existing.config);
      const config = existing?.config ?? { name, ...settings(name) };
      const refusal = problemOf(StoreConfig, config) ?? refused.get(name);
      const entry = existing ?? { config, namespaces: new Set() };
      if (existing === undefined) entries.set(identity, entry);
      if (refusal !== undefined) {
        notes.lost(at, `its store \`${refusal.at}\` ${refusal.what}`, 'Write the store by hand.');
        return undefined;
      }
      if (namespaces === undefined) entry.namespaces = undefined;
      for (const namespace of namespaces ?? []) entry.namespaces?.add(namespace);
      return name;
    },
    finish() {
      const used = [...entries.values()].filter(({ namespaces }) => namespaces?.size !== 0);
      const isBounded = used.some(({ namespaces }) => namespaces !== undefined);
      return {
        stores: used.map(({ config }) => config),
        access: isBounded ? used.map(accessRule).toSorted(byStore) : undefined,
      };
    },
  };
}

/** As soon as one store has a rule, every other store needs a rule too. */
function accessRule({ config, namespaces }: Entry): Json {
  const allowed = namespaces === undefined ? ['**'] : [...namespaces].toSorted();
  return { namespaces: allowed, stores: [nameOf(config)], keys: ['**'] };
}

function byStore(a: Json, b: Json): number {
  return String(a.stores) < String(b.stores) ? -1 : 1;
}
