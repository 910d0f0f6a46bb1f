import { AppError } from '../core/errors.ts';
import type { Mapping, Search, Source, Spread } from '../core/mapping.ts';
import { refId } from '../core/reading.ts';
import { isSpread, searchesOf, storeRef } from './desired.ts';
import { couldFind, describeSearch, foundSource, matching, relativeName } from './find.ts';
import { keyCollision, targetKey } from './keys.ts';
import type { TargetSource } from './marks.ts';
import { describeSource } from './value.ts';

/** A target stays at the versions that a record names, until somebody says otherwise. */
export interface Pin {
  /** The sequence of that record. */
  readonly to: number;
  readonly sources: readonly TargetSource[];
  /** Store name to the beginning of its definition's hash when it was pinned: elsewhere a version is another thing. */
  readonly stores: ReadonlyMap<string, string>;
}

/** What to do when the versions of a pin cannot be had: no version of the mapping would help. */
export const OTHERWISE =
  'Go back to another record; a target that is pinned already is let go by `secretbridge unpin`.';

export interface Pinned {
  readonly mapping: Mapping;
  /** The references whose version the pin says, by `refId`; any other is read as the mapping says. */
  readonly refs: ReadonlySet<string>;
}

/**
 * Today's mapping with the versions of a pin. What a search stands for is what it found then. A source that the
 * record does not name has come to the mapping since, and is read as it is now.
 * @throws AppError ROLLBACK_AMBIGUOUS, VERSION_GONE, KEY_COLLISION, KEY_INVALID
 */
export function pinned(mapping: Mapping, pin: Pin, stores: ReadonlyMap<string, string>): Pinned {
  for (const { store } of pin.sources) {
    const then = pin.stores.get(store);
    if (then !== undefined && !(stores.get(store)?.startsWith(then) ?? true))
      throw new AppError('VERSION_GONE', {
        about: `store ${store}`,
        detail: 'it was another store when the target was pinned',
        todo: OTHERWISE,
      });
  }
  const refs = new Set<string>();
  const at = <T extends Source | Spread>(source: T): T => {
    const version = versionOf(source, pin);
    if (version === undefined) return source;
    const then = { ...source, version };
    refs.add(refId(storeRef(then)));
    return then;
  };
  const data = Object.entries(mapping.data).map(([name, source]) => [name, at(source)] as const);
  const spreads = mapping.dataFrom.filter(isSpread);
  const searches = searchesOf(mapping);
  const found = searches.flatMap((search) =>
    foundThen(search, pin, [...Object.values(mapping.data), ...spreads]),
  );
  const names = new Map<string, Source>(data);
  for (const [name, source] of found) {
    const other = names.get(name);
    if (other !== undefined) throw keyCollision(name, describeSource(other), describeSource(source));
    names.set(name, source);
    refs.add(refId(storeRef(source)));
  }
  const then = { ...mapping, data: Object.fromEntries([...data, ...found]), dataFrom: spreads.map(at) };
  return { mapping: then, refs };
}

/** The version that the record names for a source; nothing when it does not name the source. */
function versionOf(source: Source, { to, sources }: Pin): string | undefined {
  const sameKey = sources.filter(({ store, key }) => store === source.store && key === source.key);
  const versions = distinct(sameKey);
  if (versions.length < 2) return versions[0];
  // Two versions of one key, as with AWSCURRENT and AWSPREVIOUS: the record does not say which key of the target
  // was made of which. The property may tell.
  const closer = distinct(sameKey.filter(({ property }) => isOf(property, source.property)));
  if (closer.length === 1) return closer[0];
  throw new AppError('ROLLBACK_AMBIGUOUS', {
    about: describeSource(source),
    detail: `record ${to} names ${versions.length} versions of it`,
  });
}

function isOf(written: string | undefined, property: string | undefined): boolean {
  // Of an object that was spread, the record names each member.
  return written === property || (property !== undefined && (written?.startsWith(`${property}.`) ?? false));
}

function distinct(sources: readonly TargetSource[]): readonly string[] {
  return [...new Set(sources.map(({ version }) => version))];
}

/** What a search had found then, by the names of the target's keys. */
function foundThen(
  search: Search,
  pin: Pin,
  named: readonly Source[],
): readonly (readonly [string, Source])[] {
  // What the mapping names itself was found as well, or was not: with tags, nothing tells.
  const isNamed = (key: string): boolean =>
    named.some((it) => it.store === search.store && it.key === key && it.property === undefined);
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
    const versions = distinct(candidates.filter((it) => it.key === key));
    const [version] = versions;
    if (version === undefined || versions.length > 1)
      throw new AppError('ROLLBACK_AMBIGUOUS', {
        about: describeSearch(search),
        detail: `record ${pin.to} names ${versions.length} versions of ${key}`,
      });
    const name = targetKey(relativeName(search, key) ?? key, search.rename, describeSource(source));
    return [name, { ...source, version }] as const;
  });
}
