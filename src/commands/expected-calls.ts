import type { Config } from '../config/config.ts';
import type { Mapping } from '../core/mapping.ts';
import { isCurrentSecretRef, refId, type StoreRef } from '../core/read-result.ts';
import {
  type ChosenStrategy,
  cheapestStrategy,
  type ReadCapabilities,
  type ReadStrategy,
} from '../providers/read-strategy.ts';
import { definitionOf, versionsPerPageOf } from '../providers/registry.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import { shardsOf } from '../service/sweep/shard-index.ts';
import { searchesOf, sourcesOf, storeRef } from '../sync/desired.ts';

/** The requests to a store that are expected while no secret changes. Logins are not included. */
export interface StoreCalls {
  readonly store: string;
  /** The read strategy for most of the keys. Undefined if no key is a plain secret. */
  readonly way?: ReadStrategy;
  /** The number of distinct keys, named versions and special objects, such as certificates. */
  readonly keys: number;
  readonly perHour: number;
}

export interface CallsOptions {
  /** Returns the read strategies of recent sweeps. By default, the cheapest strategy is assumed. */
  readonly taken?: (store: string) => readonly ChosenStrategy[];
  /** Permissions that the calculation assumes to be missing. */
  readonly lacks?: ReadonlySet<'list' | 'batch'>;
}

const HOUR_MS = 3_600_000;

/** The sources of one store that are refreshed at the same interval. */
interface ReadGroup {
  readonly refreshMs: number;
  readonly keys: number;
  /** Number of keys whose current version can come from a list request or a batch request. */
  readonly plain: number;
  /** Number of named versions and special objects. Each of them needs its own request. */
  readonly single: number;
  /** Number of keys that are read for targets of mode `merge`. */
  readonly merged: number;
  /** Number of distinct searches. Each search needs at least one request. */
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

/** Returns the expected requests for each used store, in the order of the configuration. */
export function expectedCalls(
  { stores }: Pick<Config, 'stores'>,
  targets: readonly DesiredTarget[],
  { taken: observed = () => [], lacks = new Set() }: CallsOptions = {},
): readonly StoreCalls[] {
  // Cache the groups, because each status request needs them. A list of targets never changes, so it can be the key of
  // the cache.
  const byStore = groupCache.get(targets) ?? readGroupsOf(targets);
  groupCache.set(targets, byStore);
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

function readGroupsOf(targets: readonly DesiredTarget[]): ReadonlyMap<string, readonly ReadGroup[]> {
  const parts: readonly SweepPart[] = [
    ...shardsOf(targets, () => true).map(({ sweep: { store, refreshMs }, refs }) => ({
      store,
      refreshMs,
      refs,
    })),
    ...[...new Set(targets.map(({ mapping }) => mapping))].flatMap(fullRunParts),
  ];
  const byGroup = Map.groupBy(parts, ({ store, refreshMs }) => JSON.stringify([store, refreshMs]));
  const groups = [...byGroup.values()].flatMap((sameInterval) => {
    const [first] = sameInterval;
    if (first === undefined) return [];
    const refs = sameInterval.flatMap((part) => part.refs ?? []);
    const plain = refs.filter(({ ref }) => isCurrentSecretRef(ref)).length;
    const merged = new Set(sameInterval.flatMap((part) => part.merged ?? []));
    const all = new Set([...refs.map(refId), ...merged]);
    return {
      store: first.store,
      refreshMs: first.refreshMs,
      keys: all.size,
      plain,
      single: refs.length - plain,
      merged: merged.size,
      searches: new Set(sameInterval.flatMap((part) => part.search ?? [])).size,
    };
  });
  return Map.groupBy(groups, ({ store }) => store);
}

/** Returns the sources that a sweep does not check. Only a full run of a target checks searches and merged keys. */
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

/**
 * Returns the lowest number of requests per hour that a tool needs if it reads each key of each target separately at
 * each refresh.
 */
export function unsharedCallsPerHour(targets: readonly DesiredTarget[], store: string): number {
  const perHour = targets.map(({ mapping }) => {
    const keys = new Set(
      sourcesOf(mapping)
        .map(storeRef)
        .filter((ref) => ref.store === store)
        .map(refId),
    );
    return (keys.size * HOUR_MS) / mapping.refreshMs;
  });
  return Math.round(perHour.reduce((sum, calls) => sum + calls, 0));
}

/** Returns what the requests to a store can return. @param lacks Permissions that are missing. */
export function abilitiesOf(
  config: Config['stores'][number],
  lacks: ReadonlySet<'list' | 'batch'> = new Set(),
): ReadCapabilities {
  const { can } = definitionOf(config);
  const namesPerCall = can.tellVersions ? versionsPerPageOf(config) : undefined;
  return {
    readsPerCall: lacks.has('batch') ? 1 : (can.readsPerCall ?? 1),
    namesPerCall: lacks.has('list') ? undefined : namesPerCall,
    describesUpTo: namesPerCall === undefined ? 0 : (can.describesUpTo ?? 0),
  };
}

/**
 * Returns the strategy of an observed sweep with the same number of keys. If no such sweep was observed, returns the
 * cheapest strategy.
 */
function expectedSweep(
  keys: number,
  abilities: ReadCapabilities,
  observed: readonly ChosenStrategy[],
): ChosenStrategy {
  return observed.find((wayTaken) => wayTaken.keys === keys) ?? cheapestStrategy(keys, abilities);
}
