import type { Config } from '../config/config.ts';
import type { Mapping } from '../core/mapping.ts';
import { isPlain, refId, type StoreRef } from '../core/reading.ts';
import { definitionOf, versionsPerPageOf } from '../providers/registry.ts';
import { type Abilities, cheapestWay, type Way, type WayTaken } from '../providers/ways.ts';
import type { Wanted } from '../reconcile/targets.ts';
import { slotsOf } from '../service/sweep/slots.ts';
import { searchesOf, sourcesOf, storeRef } from '../sync/desired.ts';

/** Requests to a store that looking for changes takes, while there are none. Logins are not among them. */
export interface StoreCalls {
  readonly store: string;
  /** How most of its keys are looked at; undefined: there are none. */
  readonly way?: Way;
  /** Keys, versions and objects that are looked at, each once. */
  readonly keys: number;
  readonly perHour: number;
}

export interface CallsOptions {
  /** What passes have shown; left out: what a store that holds nothing else would show. */
  readonly taken?: (store: string) => readonly WayTaken[];
  /** As if these permissions were missing. */
  readonly lacks?: ReadonlySet<'list' | 'batch'>;
}

const HOUR_MS = 3_600_000;

/** What of a store is looked at together, once per interval. */
interface Group {
  readonly refreshMs: number;
  readonly keys: number;
  /** Those of them whose current version a list or a batch may tell. */
  readonly plain: number;
  /** Named versions and other objects, of which each is asked for. */
  readonly single: number;
  /** Those that are read for merges. */
  readonly merged: number;
  /** Different ones, which cost a page each at the least. */
  readonly searches: number;
}

interface Part {
  readonly store: string;
  readonly refreshMs: number;
  readonly refs?: readonly StoreRef[];
  readonly merged?: readonly string[];
  readonly search?: readonly string[];
}

const grouped = new WeakMap<readonly Wanted[], ReadonlyMap<string, readonly Group[]>>();

/** For each store that is used, in the order of the configuration. */
export function expectedCalls(
  { stores }: Pick<Config, 'stores'>,
  wanted: readonly Wanted[],
  { taken = () => [], lacks = new Set() }: CallsOptions = {},
): readonly StoreCalls[] {
  // Asked for with each look at the state of the service, and targets are never changed.
  const byStore = grouped.get(wanted) ?? groupsOf(wanted);
  grouped.set(wanted, byStore);
  return stores.flatMap((config) => {
    const groups = byStore.get(config.name) ?? [];
    const abilities = abilitiesOf(config, lacks);
    const passes = groups.map(({ refreshMs, keys, plain, single, merged, searches }) => {
      const pass = passOf(plain, abilities, taken(config.name));
      const calls = pass.calls + single + searches + Math.ceil(merged / abilities.readsPerCall);
      return { way: pass.way, plain, keys, perHour: (calls * HOUR_MS) / refreshMs };
    });
    const [most] = passes.toSorted((one, other) => other.plain - one.plain);
    if (most === undefined) return [];
    return [
      {
        store: config.name,
        keys: passes.reduce((sum, { keys }) => sum + keys, 0),
        perHour: Math.round(passes.reduce((sum, { perHour }) => sum + perHour, 0)),
        ...(most.plain === 0 ? {} : { way: most.way }),
      },
    ];
  });
}

function groupsOf(wanted: readonly Wanted[]): ReadonlyMap<string, readonly Group[]> {
  const parts: readonly Part[] = [
    ...slotsOf(wanted, () => true).map(({ sweep: { store, refreshMs }, refs }) => ({
      store,
      refreshMs,
      refs,
    })),
    ...[...new Set(wanted.map(({ mapping }) => mapping))].flatMap(wholePartsOf),
  ];
  const byGroup = Map.groupBy(parts, ({ store, refreshMs }) => JSON.stringify([store, refreshMs]));
  const groups = [...byGroup.values()].flatMap((its) => {
    const [first] = its;
    if (first === undefined) return [];
    const refs = its.flatMap((part) => part.refs ?? []);
    const plain = refs.filter(({ ref }) => isPlain(ref)).length;
    const merged = new Set(its.flatMap((part) => part.merged ?? []));
    const all = new Set([...refs.map(refId), ...merged]);
    return {
      store: first.store,
      refreshMs: first.refreshMs,
      keys: all.size,
      plain,
      single: refs.length - plain,
      merged: merged.size,
      searches: new Set(its.flatMap((part) => part.search ?? [])).size,
    };
  });
  return Map.groupBy(groups, ({ store }) => store);
}

/** What only full runs of its targets check: what it searches, and what it merges. */
function wholePartsOf(mapping: Mapping): readonly Part[] {
  const { refreshMs, target } = mapping;
  const merged = target.mode === 'merge' ? sourcesOf(mapping).map(storeRef) : [];
  return [
    ...searchesOf(mapping).map((entry) => ({
      store: entry.store,
      refreshMs,
      search: [JSON.stringify(entry)],
    })),
    ...merged.map((ref) => ({ store: ref.store, refreshMs, merged: [refId(ref)] })),
  ];
}

/** The least requests an hour of a tool that reads each key of each target at each refresh. */
export function oneByOne(wanted: readonly Wanted[], store: string): number {
  const perHour = wanted.map(({ mapping }) => {
    const keys = new Set(
      sourcesOf(mapping)
        .map(storeRef)
        .filter((ref) => ref.store === store)
        .map(refId),
    );
    return (keys.size * HOUR_MS) / mapping.refreshMs;
  });
  return Math.round(perHour.reduce((sum, it) => sum + it, 0));
}

function abilitiesOf(config: Config['stores'][number], lacks: ReadonlySet<'list' | 'batch'>): Abilities {
  const { can } = definitionOf(config);
  const namesPerCall = can.tellVersions ? versionsPerPageOf(config) : undefined;
  return {
    readsPerCall: lacks.has('batch') ? 1 : (can.readsPerCall ?? 1),
    namesPerCall: lacks.has('list') ? undefined : namesPerCall,
    describesUpTo: namesPerCall === undefined ? 0 : (can.describesUpTo ?? 0),
  };
}

/** A pass over as many keys as one that was made costs what that did. */
function passOf(keys: number, abilities: Abilities, taken: readonly WayTaken[]): WayTaken {
  return taken.find((it) => it.keys === keys) ?? cheapestWay(keys, abilities);
}
