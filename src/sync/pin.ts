import { AppError } from '../core/errors.ts';
import type { Mapping, Search, Source, Spread } from '../core/mapping.ts';
import { refId } from '../core/read-result.ts';
import { isSpread, searchesOf, storeRef } from './desired.ts';
import { couldFind, describeSearch, foundSource, matching, relativeName } from './find.ts';
import type { TargetSource } from './ownership-metadata.ts';
import { keyCollision, targetKey } from './target-keys.ts';
import { describeSource } from './value.ts';

/** Keeps a target at the versions that a record names, until it is unpinned. */
export interface Pin {
  /** The sequence of that record. */
  readonly to: number;
  readonly sources: readonly TargetSource[];
  /**
   * Maps the name of each store to the prefix of its definition hash at that time. In another store, a version means
   * something else.
   */
  readonly stores: ReadonlyMap<string, string>;
}

/** The remedy when the versions of a pin are not available. Changing the mapping would not help. */
export const PIN_REMEDY =
  'Roll back to another record. If the target is already pinned, run `secretbridge unpin`.';

export interface Pinned {
  readonly mapping: Mapping;
  /** The references with a pinned version, by `refId`. Others are read as the mapping says. */
  readonly refs: ReadonlySet<string>;
}

/**
 * Applies the versions of a pin to the current mapping. A search is replaced by the keys that it found at that time. A
 * source that the record does not name was added later and is read at its current version.
 * @throws AppError ROLLBACK_AMBIGUOUS, VERSION_GONE, KEY_COLLISION, KEY_INVALID
 */
export function pinMapping(mapping: Mapping, pin: Pin, stores: ReadonlyMap<string, string>): Pinned {
  for (const { store } of pin.sources) {
    const pinnedDefinition = pin.stores.get(store);
    if (pinnedDefinition !== undefined && !(stores.get(store)?.startsWith(pinnedDefinition) ?? true))
      throw new AppError('VERSION_GONE', {
        subject: `store ${store}`,
        detail: 'the store had another definition when the target was pinned',
        remedy: PIN_REMEDY,
      });
  }
  const refs = new Set<string>();
  const withPinnedVersion = <T extends Source | Spread>(source: T): T => {
    const version = versionOf(source, pin);
    if (version === undefined) return source;
    const pinnedSource = { ...source, version };
    refs.add(refId(storeRef(pinnedSource)));
    return pinnedSource;
  };
  const data = Object.entries(mapping.data).map(
    ([name, source]) => [name, withPinnedVersion(source)] as const,
  );
  const spreads = mapping.dataFrom.filter(isSpread);
  const searches = searchesOf(mapping);
  const searchSources = searches.flatMap((search) =>
    pinnedSearchSources(search, pin, [...Object.values(mapping.data), ...spreads]),
  );
  const sourcesByName = new Map<string, Source>(data);
  for (const [name, source] of searchSources) {
    const other = sourcesByName.get(name);
    if (other !== undefined) throw keyCollision(name, describeSource(other), describeSource(source));
    sourcesByName.set(name, source);
    refs.add(refId(storeRef(source)));
  }
  const pinnedMapping = {
    ...mapping,
    data: Object.fromEntries([...data, ...searchSources]),
    dataFrom: spreads.map(withPinnedVersion),
  };
  return { mapping: pinnedMapping, refs };
}

/** The version that the record names for a source. Undefined if it does not name the source. */
function versionOf(source: Source, { to, sources }: Pin): string | undefined {
  const sameKey = sources.filter(({ store, key }) => store === source.store && key === source.key);
  const versions = distinct(sameKey);
  if (versions.length < 2) return versions[0];
  // The record names two versions of one key, as with AWSCURRENT and AWSPREVIOUS. It does not say which target key was
  // made from which, but the property may show it.
  const sameProperty = distinct(sameKey.filter(({ property }) => isSameProperty(property, source.property)));
  if (sameProperty.length === 1) return sameProperty[0];
  throw new AppError('ROLLBACK_AMBIGUOUS', {
    subject: describeSource(source),
    detail: `record ${to} names ${versions.length} versions of it`,
  });
}

function isSameProperty(written: string | undefined, property: string | undefined): boolean {
  // For a spread object, the record names each member.
  return written === property || (property !== undefined && (written?.startsWith(`${property}.`) ?? false));
}

function distinct(sources: readonly TargetSource[]): readonly string[] {
  return [...new Set(sources.map(({ version }) => version))];
}

/** The sources that a search found at that time, by target key. */
function pinnedSearchSources(
  search: Search,
  pin: Pin,
  explicit: readonly Source[],
): readonly (readonly [string, Source])[] {
  // The mapping also names this key itself. With tags, it is unknown whether the search found it too.
  const isNamed = (key: string): boolean =>
    explicit.some(
      (source) => source.store === search.store && source.key === key && source.property === undefined,
    );
  const hasTags = Object.keys(search.find.tags).length > 0;
  const candidates = pin.sources.filter(
    ({ store, key, property }) =>
      store === search.store &&
      property === undefined &&
      couldFind(search, key) &&
      !(hasTags && isNamed(key)),
  );
  const keys = matching(
    search,
    candidates.map(({ key }) => key),
  );
  return keys.map((key) => {
    const source = foundSource(search, key);
    const versions = distinct(candidates.filter((targetSource) => targetSource.key === key));
    const [version] = versions;
    if (version === undefined || versions.length > 1)
      throw new AppError('ROLLBACK_AMBIGUOUS', {
        subject: describeSearch(search),
        detail: `record ${pin.to} names ${versions.length} versions of ${key}`,
      });
    const name = targetKey(relativeName(search, key) ?? key, search.rename, describeSource(source));
    return [name, { ...source, version }] as const;
  });
}
