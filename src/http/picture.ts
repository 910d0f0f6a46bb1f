import type { SourceVersion } from '../audit/summaries.ts';
import { largest } from '../core/lists.ts';
import type { MappingStatus, Status, StoreStatus } from '../service/service.ts';

const DAY_MS = 86_400_000;

/** The limits of the age groups, in days. */
const AGES = [
  ['1d', 1],
  ['7d', 7],
  ['30d', 30],
  ['90d', 90],
  ['365d', 365],
  ['older', Number.POSITIVE_INFINITY],
] as const;

export const AGE_GROUPS = AGES.map(([name]) => name);

export interface Picture {
  /** For each store, how many of its secrets have their present version since how long. */
  readonly ages: readonly {
    readonly store: string;
    readonly buckets: readonly { readonly upTo: string; readonly secrets: number }[];
  }[];
  readonly stale: { readonly count: number; readonly oldest?: number };
  /** Targets by state. */
  readonly states: Readonly<Record<string, number>>;
  readonly calls: readonly { readonly store: string; readonly made: number; readonly expected: number }[];
}

export interface PictureInput {
  readonly status: Pick<Status, 'targets' | 'stores'>;
  readonly versions: readonly SourceVersion[];
  readonly now: number;
}

export function pictureOf({ status, versions, now }: PictureInput): Picture {
  const stale = status.targets.filter(({ state }) => state === 'stale');
  const oldest = largest(stale.map(({ staleSeconds }) => staleSeconds ?? 0));
  const states = Object.groupBy(status.targets, ({ state }) => state);
  return {
    ages: agesOf(versions, now),
    stale: { count: stale.length, ...(stale.length === 0 ? {} : { oldest }) },
    states: Object.fromEntries(Object.entries(states).map(([state, targets]) => [state, targets.length])),
    calls: status.stores.flatMap(callsOf),
  };
}

function agesOf(versions: readonly SourceVersion[], now: number): Picture['ages'] {
  const stores = new Map<string, number[]>();
  for (const { store, since } of versions) {
    const counts = stores.get(store) ?? AGES.map(() => 0);
    stores.set(store, counts);
    const days = (now - Date.parse(since)) / DAY_MS;
    const group = AGES.findIndex(([, limit]) => days <= limit);
    counts[group] = (counts[group] ?? 0) + 1;
  }
  return [...stores]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([store, counts]) => ({
      store,
      buckets: AGES.map(([upTo], index) => ({ upTo, secrets: counts[index] ?? 0 })),
    }));
}

/** A person who is limited to namespaces does not see the calls. */
function callsOf({ name, callsPerHour, expectedCallsPerHour }: StoreStatus): Picture['calls'] {
  if (callsPerHour === undefined) return [];
  return [{ store: name, made: callsPerHour, expected: expectedCallsPerHour ?? 0 }];
}

/** Returns the versions of the sources that mappings use now. A search may find any key of its store. */
export function usedVersions(
  versions: readonly SourceVersion[],
  mappings: readonly MappingStatus[],
): readonly SourceVersion[] {
  const named = new Set(
    mappings.flatMap(({ sources }) => sources.map(({ store, key }) => JSON.stringify([store, key]))),
  );
  const searched = new Set(mappings.flatMap(({ searches }) => searches.map(({ store }) => store)));
  return versions.filter(({ store, key }) => searched.has(store) || named.has(JSON.stringify([store, key])));
}
