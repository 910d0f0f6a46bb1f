import type { Config } from '../config/config.ts';
import { refId } from '../core/reading.ts';
import { definitionOf, versionsPerPageOf } from '../providers/registry.ts';
import { type Abilities, cheapestWay, type Way, type WayTaken } from '../providers/ways.ts';
import type { Wanted } from '../reconcile/targets.ts';
import { slotsOf } from '../service/slots.ts';
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
  readonly whole: readonly Wanted[];
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
    const passes = groups.map(({ refreshMs, keys, plain, whole }) => {
      const pass = passOf(plain, abilities, taken(config.name));
      const calls = pass.calls + (keys - plain) + wholeCalls(whole, abilities);
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
  const slots = slotsOf(wanted, () => true);
  const byGroup = Map.groupBy(slots, ({ sweep: { store, refreshMs } }) => JSON.stringify([store, refreshMs]));
  const groups = [...byGroup.values()].flatMap((its) => {
    const [first] = its;
    if (first === undefined) return [];
    const refs = its.flatMap((slot) => slot.refs);
    const plain = refs.filter(({ ref }) => ref.version === undefined && ref.object === undefined).length;
    const { store, refreshMs } = first.sweep;
    return { store, refreshMs, keys: refs.length, plain, whole: its.flatMap(({ whole }) => whole) };
  });
  return Map.groupBy(groups, ({ store }) => store);
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

/** Of what a full run checks: each search costs a page at the least, and its mapping's other sources are read. */
function wholeCalls(whole: readonly Wanted[], { readsPerCall }: Abilities): number {
  const mappings = [...new Set(whole.map(({ mapping }) => mapping))];
  const searches = mappings.flatMap(searchesOf);
  const distinct = new Set(searches.map((entry) => JSON.stringify(entry)));
  const merged = mappings.filter(({ target }) => target.mode === 'merge').flatMap(sourcesOf);
  return (
    distinct.size + Math.ceil(new Set(merged.map((source) => refId(storeRef(source)))).size / readsPerCall)
  );
}
