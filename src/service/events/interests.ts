import type { Search } from '../../core/mapping.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import type { Hint } from '../../events/hint.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { isSpread, sourcesOf } from '../../sync/desired.ts';
import { costOfMatching, matching } from '../../sync/find.ts';

/** A key of a store, or a search in a store, that targets use. */
export interface Interest {
  /** Stays the same in every configuration that contains this key or search. */
  readonly id: string;
  readonly targets: readonly TargetId[];
}

/**
 * Maximum length of a name. No store allows longer names. The limit is needed because anyone with an access key can
 * send hints.
 */
const MAX_NAME_LENGTH = 1_024;
const MAX_NAMES = 16;
/**
 * The maximum cost of matching the names of a hint, in units of 15 nanoseconds. The searches that are left count as
 * matches, because a hint only says that a target is due.
 */
const MAX_COST = 1_000_000;

/**
 * Finds the targets that a change in a store may affect. Indexes keys and searches by name, so that the cost of a hint
 * does not depend on the number of targets.
 */
export class Interests {
  readonly #namesOf: (store: string, key: string) => readonly string[];
  readonly #byId = new Map<string, Interest & { readonly targets: TargetId[] }>();
  /** The ids of the keys, keyed by store and name. */
  readonly #keys = new Map<string, Set<string>>();
  /** The searches, keyed by store, folder and id. */
  readonly #searches = new Map<string, Map<string, Map<string, Search>>>();

  /** @param namesOf All names that an event may use for a store's key. */
  constructor(desired: readonly DesiredTarget[], namesOf: (store: string, key: string) => readonly string[]) {
    this.#namesOf = namesOf;
    const resolved = desired.filter(({ error }) => error === undefined);
    for (const [mapping, mappingTargets] of Map.groupBy(resolved, (desiredTarget) => desiredTarget.mapping)) {
      const ids = new Set<string>();
      for (const { store, key } of sourcesOf(mapping)) ids.add(this.#indexKey(store, key));
      for (const part of mapping.dataFrom) if (!isSpread(part)) ids.add(this.#indexSearch(part));
      for (const id of ids) this.#addTargets(id, mappingTargets);
    }
  }

  get(id: string): Interest | undefined {
    return this.#byId.get(id);
  }

  matching({ store, keys }: Hint): readonly Interest[] {
    const names = new Set(
      keys
        .slice(0, MAX_NAMES)
        .filter(({ length }) => length <= MAX_NAME_LENGTH)
        .flatMap((key) => [key, ...this.#namesOf(store, key)]),
    );
    const spent = { cost: 0 };
    const ids = new Set(
      [...names].flatMap((name) => [
        ...(this.#keys.get(nameKey(store, name)) ?? []),
        ...this.#searchesMatching(store, name, spent),
      ]),
    );
    return [...ids].flatMap((id) => this.#byId.get(id) ?? []);
  }

  *#searchesMatching(store: string, name: string, spent: { cost: number }): Iterable<string> {
    const folders = this.#searches.get(store);
    if (folders === undefined) return;
    // A search matches names below its path, so look up every prefix of this name.
    for (let end = 0; end <= name.length; end += 1)
      for (const [id, search] of folders.get(name.slice(0, end)) ?? []) {
        spent.cost += costOfMatching(search, [name]);
        if (spent.cost > MAX_COST || matching(search, [name]).length > 0) yield id;
      }
  }

  #indexKey(store: string, key: string): string {
    const id = JSON.stringify([store, key]);
    for (const name of [key, ...this.#namesOf(store, key)]) {
      const at = nameKey(store, name);
      this.#keys.set(at, (this.#keys.get(at) ?? new Set()).add(id));
    }
    return id;
  }

  #indexSearch(search: Search): string {
    const { store, find } = search;
    const id = JSON.stringify([store, find.path, find.name ?? '']);
    const folders = this.#searches.get(store) ?? new Map<string, Map<string, Search>>();
    const folder = find.path.replace(/\/+$/, '');
    this.#searches.set(store, folders.set(folder, (folders.get(folder) ?? new Map()).set(id, search)));
    return id;
  }

  #addTargets(id: string, targets: readonly DesiredTarget[]): void {
    const interest = this.#byId.get(id) ?? { id, targets: [] };
    for (const target of targets) interest.targets.push(target.id);
    this.#byId.set(id, interest);
  }
}

function nameKey(store: string, name: string): string {
  return `${store} ${name}`;
}

/** Returns the targets of several keys and searches, without duplicates. */
export function targetsOf(interests: Iterable<Interest>): ReadonlyMap<string, TargetId> {
  const targets = new Map<string, TargetId>();
  for (const interest of interests) for (const id of interest.targets) targets.set(formatTarget(id), id);
  return targets;
}
