import type { Config } from '../config/config.ts';
import type { Mapping } from '../core/mapping.ts';
import { isCurrentSecretRef, refId, type StoreRef } from '../core/read-result.ts';
import { definitionOf, versionsPerPageOf } from '../providers/registry.ts';
import {
  type ReadCapabilities,
  cheapestStrategy,
  type ReadStrategy,
  type ChosenStrategy,
} from '../providers/read-strategy.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import { shardsOf } from '../service/sweep/shards.ts';
import { searchesOf, sourcesOf, storeRef } from '../sync/desired.ts';

/** Requests to a store that looking for changes takes, while there are none. Logins are not among them. */
export interface StoreCalls {
  readonly store: string;
  /** How most of its keys are looked at; undefined: there are none. */
  readonly way?: ReadStrategy;
  /** Keys, versions and objects that are looked at, each once. */
  readonly keys: number;
  readonly perHour: number;
}

export interface CallsOptions {
  /** What passes have shown; left out: what a store that holds nothing else would show. */
  readonly taken?: (store: string) => readonly ChosenStrategy[];
  /** As if these permissions were missing. */
  readonly lacks?: ReadonlySet<'list' | 'batch'>;
}

const HOUR_MS = 3_600_000;

/** What of a store is looked at together, once per interval. */
interface ReadGroup {
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

interface SweepPart {
  readonly store: string;
  readonly refreshMs: number;
  readonly refs?: readonly StoreRef[];
  readonly merged?: readonly string[];
  readonly search?: readonly string[];
}

const groupCache = new WeakMap<readonly DesiredTarget[], ReadonlyMap<string, readonly ReadGroup[]>>();

/** For each store that is used, in the order of the configuration. */
export function expectedCalls(
  { stores }: Pick<Config, 'stores'>,
  wanted: readonly DesiredTarget[],
  { taken: observed = () => [], lacks = new Set() }: CallsOptions = {},
): readonly StoreCalls[] {
  // Asked for with each look at the state of the service, and targets are never changed.
  const byStore = groupCache.get(wanted) ?? readGroupsOf(wanted);
  groupCache.set(wanted, byStore);
  return stores.flatMap((config) => {
    const groups = byStore.get(config.name) ?? [];
    const abilities = abilitiesOf(config, lacks);
    const sweeps = groups.map(({ refreshMs, keys, plain, single, merged, searches }) => {
      const sweep = expectedSweep(plain, abilities, observed(config.name));
      const calls = sweep.calls + single + searches + Math.ceil(merged / abilities.readsPerCall);
      return { way: sweep.way, plain, keys, perHour: (calls * HOUR_MS) / refreshMs };
    });
    const [largest] = sweeps.toSorted((one, other) => other.plain - one.plain);
    if (largest === undefined) return [];
    return [
      {
        store: config.name,
        keys: sweeps.reduce((sum, { keys }) => sum + keys, 0),
        perHour: Math.round(sweeps.reduce((sum, { perHour }) => sum + perHour, 0)),
        ...(largest.plain === 0 ? {} : { way: largest.way }),
      },
    ];
  });
}

function readGroupsOf(wanted: readonly DesiredTarget[]): ReadonlyMap<string, readonly ReadGroup[]> {
  const parts: readonly SweepPart[] = [
    ...shardsOf(wanted, () => true).map(({ sweep: { store, refreshMs }, refs }) => ({
      store,
      refreshMs,
      refs,
    })),
    ...[...new Set(wanted.map(({ mapping }) => mapping))].flatMap(fullRunParts),
  ];
  const byGroup = Map.groupBy(parts, ({ store, refreshMs }) => JSON.stringify([store, refreshMs]));
  const groups = [...byGroup.values()].flatMap((its) => {
    const [first] = its;
    if (first === undefined) return [];
    const refs = its.flatMap((part) => part.refs ?? []);
    const plain = refs.filter(({ ref }) => isCurrentSecretRef(ref)).length;
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
function fullRunParts(mapping: Mapping): readonly SweepPart[] {
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
export function unsharedCallsPerHour(wanted: readonly DesiredTarget[], store: string): number {
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

function abilitiesOf(
  config: Config['stores'][number],
  lacks: ReadonlySet<'list' | 'batch'>,
): ReadCapabilities {
  const { can } = definitionOf(config);
  const namesPerCall = can.tellVersions ? versionsPerPageOf(config) : undefined;
  return {
    readsPerCall: lacks.has('batch') ? 1 : (can.readsPerCall ?? 1),
    namesPerCall: lacks.has('list') ? undefined : namesPerCall,
    describesUpTo: namesPerCall === undefined ? 0 : (can.describesUpTo ?? 0),
  };
}

/** A pass over as many keys as one that was made costs what that did. */
function expectedSweep(
  keys: number,
  abilities: ReadCapabilities,
  observed: readonly ChosenStrategy[],
): ChosenStrategy {
  return observed.find((wayTaken) => wayTaken.keys === keys) ?? cheapestStrategy(keys, abilities);
}
