import type { Clock } from '../../core/clock.ts';
import type { Mapping, Source } from '../../core/mapping.ts';
import { isCurrentSecretRef } from '../../core/read-result.ts';
import { compareText } from '../../core/target.ts';
import { searchesOf, sourcesOf, storeRef } from '../../sync/desired.ts';
import type { Logger } from '../../telemetry/logger.ts';

/** A version of a value, and its creation time if the store provides one. */
interface SourceVersion {
  readonly version: string;
  readonly createdAt?: number | undefined;
}

/** A source that is older than the mapping's `maxAge`. */
export interface Unrotated {
  readonly mapping: string;
  readonly store: string;
  readonly key: string;
  /** Creation time of the value, in milliseconds since 1970. */
  readonly madeAt: number;
  readonly ageMs: number;
  readonly maxAgeMs: number;
}

/** Tracks the creation times of source values, as reported by the stores. */
export interface SourceAges {
  /**
   * Records a version and its creation time. For the same version the earliest time counts, because a list may show the
   * time of a tag change.
   */
  note(store: string, key: string, version: SourceVersion): void;
  /** Records all sources of a run. For a search, only a run shows which keys match. */
  noteRun(
    mapping: Mapping,
    sources: readonly (SourceVersion & { readonly store: string; readonly key: string })[],
  ): void;
  /** Returns the time when the newest source of the mapping was created, in milliseconds since 1970. */
  changedAt(mapping: Mapping): number | undefined;
  /**
   * Logs a warning for each source older than its mapping's `maxAge`, at most once a day. Returns the sources that it
   * logged.
   */
  warn(mappings: readonly Mapping[]): readonly Unrotated[];
}

interface KnownSource {
  readonly store: string;
  readonly key: string;
  version: string;
  at: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

export function createSourceAges({
  clock,
  logger,
}: {
  readonly clock: Clock;
  readonly logger: Logger;
}): SourceAges {
  const known = new Map<string, KnownSource>();
  /** Keyed by mapping, because a search matches the same keys for all targets of the mapping. */
  const bySearch = new Map<string, readonly KnownSource[]>();
  const warnedAt = new Map<string, number>();
  let lastCleanup: { readonly mappings: readonly Mapping[] | undefined; readonly at: number } = {
    mappings: undefined,
    at: 0,
  };
  const knownOf = (
    sources: readonly { readonly store: string; readonly key: string }[],
  ): readonly KnownSource[] => sources.flatMap(({ store, key }) => known.get(nameOf({ store, key })) ?? []);
  const sourcesOfMapping = (mapping: Mapping): ReadonlySet<KnownSource> =>
    new Set([
      ...knownOf(sourcesOf(mapping)),
      ...(searches(mapping) ? (bySearch.get(mapping.name) ?? []) : []),
    ]);

  const note: SourceAges['note'] = (store, key, { version, createdAt }) => {
    if (createdAt === undefined) return;
    const id = nameOf({ store, key });
    const before = known.get(id);
    if (before === undefined) known.set(id, { store, key, version, at: createdAt });
    else {
      before.at = before.version === version ? Math.min(before.at, createdAt) : createdAt;
      before.version = version;
    }
  };
  /** Removes unused entries. Visits every key, which takes up to 0.1 s for tens of thousands. */
  const cleanUp = (mappings: readonly Mapping[]): void => {
    lastCleanup = { mappings, at: clock.now() };
    const searching = new Set(mappings.filter(searches).map(({ name }) => name));
    for (const name of bySearch.keys()) if (!searching.has(name)) bySearch.delete(name);
    const used = new Set(mappings.flatMap((mapping) => [...sourcesOfMapping(mapping)]));
    for (const [id, knownSource] of known) if (!used.has(knownSource)) known.delete(id);
    for (const [id, at] of warnedAt) if (clock.now() - at > DAY_MS) warnedAt.delete(id);
  };
  return {
    note,
    noteRun(mapping, sources) {
      // A pinned version or another object type does not show the age of the current value.
      const notCurrent = new Set(
        sourcesOf(mapping)
          .filter((source) => !isCurrentSecretRef(storeRef(source).ref))
          .map(nameOf),
      );
      for (const source of sources)
        if (!notCurrent.has(nameOf(source))) note(source.store, source.key, source);
      if (searches(mapping)) bySearch.set(mapping.name, knownOf(sources));
    },
    changedAt(mapping) {
      const times = [...sourcesOfMapping(mapping)].map(({ at }) => at);
      return times.length === 0 ? undefined : Math.max(...times);
    },
    warn(mappings) {
      if (mappings !== lastCleanup.mappings || clock.now() - lastCleanup.at >= HOUR_MS) cleanUp(mappings);
      const old = mappings.flatMap((mapping) => {
        const { name, maxAgeMs } = mapping;
        if (maxAgeMs === undefined) return [];
        return [...sourcesOfMapping(mapping)].flatMap(({ store, key, at }): Unrotated[] => {
          const now = clock.now();
          const id = `${name} ${store} ${key}`;
          if (now - at <= maxAgeMs || now - (warnedAt.get(id) ?? 0) < DAY_MS) return [];
          warnedAt.set(id, now);
          return [{ mapping: name, store, key, madeAt: at, ageMs: now - at, maxAgeMs }];
        });
      });
      for (const { mapping, store, key, ageMs } of old)
        logger.warn('a source was not rotated for longer than `maxAge`', {
          mapping,
          store,
          key,
          durationMs: ageMs,
        });
      return old.toSorted(
        (a, b) =>
          compareText(a.mapping, b.mapping) || compareText(a.store, b.store) || compareText(a.key, b.key),
      );
    },
  };
}

function nameOf({ store, key }: Pick<Source, 'store' | 'key'>): string {
  return `${store} ${key}`;
}

function searches(mapping: Mapping): boolean {
  return searchesOf(mapping).length > 0;
}
