import type { Search } from '../../core/mapping.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import type { Hint } from '../../events/hint.ts';
import type { Wanted } from '../../reconcile/targets.ts';
import { isSpread, sourcesOf } from '../../sync/desired.ts';
import { matching } from '../../sync/find.ts';

/** A key of a store, or a search in it, from which targets are made. */
export interface Interest {
  /** The same in the next configuration, as long as it is the same. */
  readonly id: string;
  readonly targets: readonly TargetId[];
}

/** Who has to look when something may have changed in a store. */
export interface Interests {
  touchedBy(hint: Hint): readonly Interest[];
  at(id: string): Interest | undefined;
}

/** No store has longer names. Whoever sends hints may be anybody who has got hold of a key. */
const LONGEST_NAME = 1_024;
const MOST_NAMES = 16;

interface Entry extends Interest {
  readonly targets: TargetId[];
}

interface SearchEntry extends Entry {
  readonly search: Search;
}

/**
 * Finds them by name, whatever their number: a hint costs no more with ten thousand targets than with ten.
 * @param namesOf All the names by which an event may speak of a store's key.
 */
export function createInterests(
  wanted: readonly Wanted[],
  namesOf: (store: string, key: string) => readonly string[],
): Interests {
  const byId = new Map<string, Entry | SearchEntry>();
  const byName = new Map<string, Set<Entry>>();
  const searches = new Map<string, Map<string, Set<SearchEntry>>>();

  const enter = <Made extends Entry>(id: string, make: () => Made, targets: readonly TargetId[]): void => {
    const entry = byId.get(id) ?? make();
    byId.set(id, entry);
    entry.targets.push(...targets);
  };
  const known = wanted.filter(({ error }) => error === undefined);
  for (const [mapping, its] of Map.groupBy(known, (it) => it.mapping)) {
    const targets = its.map(({ id }) => id);
    const keys = new Map(sourcesOf(mapping).map((it) => [JSON.stringify([it.store, it.key]), it]));
    for (const [id, { store, key }] of keys)
      enter(id, () => indexed({ id, targets: [] }, [key, ...namesOf(store, key)], store), targets);
    const own = mapping.dataFrom.flatMap((part) => (isSpread(part) ? [] : [part]));
    const found = new Map(
      own.map((it) => [JSON.stringify([it.store, it.find.path, it.find.name ?? '']), it]),
    );
    for (const [id, search] of found) enter(id, () => indexedSearch({ id, targets: [], search }), targets);
  }

  function indexed(entry: Entry, names: readonly string[], store: string): Entry {
    for (const name of names) {
      const at = placeOf(store, name);
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
    touchedBy({ store, keys }) {
      const names = new Set(
        keys
          .slice(0, MOST_NAMES)
          .filter(({ length }) => length <= LONGEST_NAME)
          .flatMap((key) => [key, ...namesOf(store, key)]),
      );
      const touched = new Set<Interest>();
      for (const name of names) {
        for (const entry of byName.get(placeOf(store, name)) ?? []) touched.add(entry);
        const byFolder = searches.get(store);
        if (byFolder === undefined) continue;
        // A path is a beginning of the names below it, so it is among the beginnings of this one.
        for (let end = 0; end <= name.length; end += 1)
          for (const entry of byFolder.get(name.slice(0, end)) ?? [])
            if (matching(entry.search, [name]).length > 0) touched.add(entry);
      }
      return [...touched];
    },
    at: (id) => byId.get(id),
  };
}

function placeOf(store: string, name: string): string {
  return `${store} ${name}`;
}

function folderOf(path: string): string {
  return path.replace(/\/+$/, '');
}

/** Of some interests together, each target once. */
export function targetsOf(interests: Iterable<Interest>): ReadonlyMap<string, TargetId> {
  const targets = new Map<string, TargetId>();
  for (const interest of interests) for (const id of interest.targets) targets.set(formatTarget(id), id);
  return targets;
}
