import type { Search } from '../../core/mapping.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import type { Hint } from '../../events/hint.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { isSpread, sourcesOf } from '../../sync/desired.ts';
import { matching } from '../../sync/find.ts';

/** A key of a store, or a search in a store, that targets use. */
export interface Interest {
  /** Stays the same in every configuration that contains this key or search. */
  readonly id: string;
  readonly targets: readonly TargetId[];
}

/** Finds the targets that a change in a store may affect. */
export interface Interests {
  matching(hint: Hint): readonly Interest[];
  get(id: string): Interest | undefined;
}

/** No store has longer names. The limit is needed because anyone with an access key can send hints. */
const MAX_NAME_LENGTH = 1_024;
const MAX_NAMES = 16;

interface Entry extends Interest {
  readonly targets: TargetId[];
}

interface SearchEntry extends Entry {
  readonly search: Search;
}

/**
 * Indexes keys and searches by name, so that the cost of a hint does not depend on the number of targets.
 *
 * @param namesOf All names that an event may use for a store's key.
 */
export function createInterests(
  desired: readonly DesiredTarget[],
  namesOf: (store: string, key: string) => readonly string[],
): Interests {
  const byId = new Map<string, Entry | SearchEntry>();
  const byName = new Map<string, Set<Entry>>();
  const searches = new Map<string, Map<string, Set<SearchEntry>>>();

  const addTargets = <NewEntry extends Entry>(
    id: string,
    make: () => NewEntry,
    targets: readonly TargetId[],
  ): void => {
    const entry = byId.get(id) ?? make();
    byId.set(id, entry);
    entry.targets.push(...targets);
  };
  const resolved = desired.filter(({ error }) => error === undefined);
  for (const [mapping, mappingTargets] of Map.groupBy(resolved, (desiredTarget) => desiredTarget.mapping)) {
    const targets = mappingTargets.map(({ id }) => id);
    const keys = new Map(
      sourcesOf(mapping).map((source) => [JSON.stringify([source.store, source.key]), source]),
    );
    for (const [id, { store, key }] of keys)
      addTargets(id, () => indexed({ id, targets: [] }, [key, ...namesOf(store, key)], store), targets);
    const own = mapping.dataFrom.flatMap((part) => (isSpread(part) ? [] : [part]));
    const searchesById = new Map(
      own.map((search) => [JSON.stringify([search.store, search.find.path, search.find.name ?? '']), search]),
    );
    for (const [id, search] of searchesById)
      addTargets(id, () => indexedSearch({ id, targets: [], search }), targets);
  }

  function indexed(entry: Entry, names: readonly string[], store: string): Entry {
    for (const name of names) {
      const at = nameKey(store, name);
      byName.set(at, (byName.get(at) ?? new Set()).add(entry));
    }
    return entry;
  }
  function indexedSearch(entry: SearchEntry): SearchEntry {
    const { store, find } = entry.search;
    const byFolder = searches.get(store) ?? new Map<string, Set<SearchEntry>>();
    searches.set(store, byFolder);
    const folder = folderOf(find.path);
    byFolder.set(folder, (byFolder.get(folder) ?? new Set()).add(entry));
    return entry;
  }

  return {
    matching({ store, keys }) {
      const names = new Set(
        keys
          .slice(0, MAX_NAMES)
          .filter(({ length }) => length <= MAX_NAME_LENGTH)
          .flatMap((key) => [key, ...namesOf(store, key)]),
      );
      const touched = new Set<Interest>();
      for (const name of names) {
        for (const entry of byName.get(nameKey(store, name)) ?? []) touched.add(entry);
        const byFolder = searches.get(store);
        if (byFolder === undefined) continue;
        // A search matches names below its path, so look up every prefix of this name.
        for (let end = 0; end <= name.length; end += 1)
          for (const entry of byFolder.get(name.slice(0, end)) ?? [])
            if (matching(entry.search, [name]).length > 0) touched.add(entry);
      }
      return [...touched];
    },
    get: (id) => byId.get(id),
  };
}

function nameKey(store: string, name: string): string {
  return `${store} ${name}`;
}

function folderOf(path: string): string {
  return path.replace(/\/+$/, '');
}

/** Returns the targets of several keys and searches, without duplicates. */
export function targetsOf(interests: Iterable<Interest>): ReadonlyMap<string, TargetId> {
  const targets = new Map<string, TargetId>();
  for (const interest of interests) for (const id of interest.targets) targets.set(formatTarget(id), id);
  return targets;
}
