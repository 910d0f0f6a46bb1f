import { AppError } from '../core/errors.ts';
import { keyCollision, type Mapping, type Search, type Source, type Spread } from '../core/mapping.ts';
import { refId } from '../core/read-result.ts';
import { isSpread, searchesOf, storeRef } from './desired.ts';
import { couldFind, describeSearch, foundSource, matching, relativeName } from './find.ts';
import type { TargetSource } from './ownership-metadata.ts';
import { targetKey } from './target-key.ts';
import { describeSource } from './value.ts';

/** A pin keeps a target at the versions of an audit record until it is unpinned. */
export interface Pin {
  /** The sequence number of the record to which the target is pinned. */
  readonly to: number;
  readonly sources: readonly TargetSource[];
  /**
   * Maps each store name to the prefix of the store's definition hash when the record was written. If the store has
   * changed, its versions mean something else.
   */
  readonly stores: ReadonlyMap<string, string>;
}

/** The remedy if the versions of a pin are not available. Changing the mapping would not help. */
export const PIN_REMEDY =
  'Roll back to another record. If the target is already pinned, run `secretbridge unpin`.';

export interface Pinned {
  readonly mapping: Mapping;
  /** The references with a pinned version, by `refId`. All others use the version of the mapping. */
  readonly refs: ReadonlySet<string>;
}

/**
 * Applies the versions of a pin to the current mapping. Each search is replaced by the keys that it found when the
 * record was written. If a source is not in the record, it was added after the record and keeps its current version.
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

/** Returns the recorded version of a source. Undefined if the source is not in the record. */
function versionOf(source: Source, { to, sources }: Pin): string | undefined {
  const sameKey = sources.filter(({ store, key }) => store === source.store && key === source.key);
  const versions = distinct(sameKey);
  if (versions.length < 2) return versions[0];
  // The record contains two versions of one key, for example AWSCURRENT and AWSPREVIOUS. It does not link versions to
  // target keys, but the property may identify the version.
  const sameProperty = distinct(sameKey.filter(({ property }) => isSameProperty(property, source.property)));
  if (sameProperty.length === 1) return sameProperty[0];
  throw new AppError('ROLLBACK_AMBIGUOUS', {
    subject: describeSource(source),
    detail: `record ${to} names ${versions.length} versions of it`,
  });
}

function isSameProperty(written: string | undefined, property: string | undefined): boolean {
  // The record contains each member of a spread object separately.
  return written === property || (property !== undefined && (written?.startsWith(`${property}.`) ?? false));
}

function distinct(sources: readonly TargetSource[]): readonly string[] {
  return [...new Set(sources.map(({ version }) => version))];
}

/** Returns the sources that a search found when the record was written, by target key. */
function pinnedSearchSources(
  search: Search,
  pin: Pin,
  explicit: readonly Source[],
): readonly (readonly [string, Source])[] {
  // If the search uses tags, ignore a key that the mapping also names explicitly, because it is unknown whether the
  // search found that key.
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
