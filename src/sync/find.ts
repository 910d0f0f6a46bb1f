import { AppError } from '../core/errors.ts';
import type { Mapping, Search, Source } from '../core/mapping.ts';
import type { ReadResult } from '../core/read-result.ts';
import type { LiveSecret } from '../core/secret.ts';
import { compareText } from '../core/target.ts';
import { defineTask } from '../core/worker-thread.ts';
import { ANNOTATION, LABEL, parseSources, type TargetSource } from './ownership-metadata.ts';
import { compilePattern, matchCost } from './pattern.ts';

/** A search, and the full keys that it found, or from which it has yet to select. */
export interface FoundKeys {
  readonly search: Search;
  readonly keys: readonly string[];
}

/**
 * Returns the part of the key below the search path. The search pattern is compared with this part, and the target key
 * is made from it. Undefined if the key is not below the path.
 */
export function relativeName(search: Search, key: string): string | undefined {
  const prefix = prefixOf(search);
  return key.startsWith(prefix) && key.length > prefix.length ? key.slice(prefix.length) : undefined;
}

/** Returns the search path as a prefix of keys. The rest of a key after this prefix is its relative name. */
function prefixOf({ find: { path }, isFlat }: Search): string {
  if (isFlat) return path;
  const folder = path.replace(/\/+$/, '');
  return folder === '' ? '' : `${folder}/`;
}

/** The maximum cost of a match in the calling thread. It takes at most about a tenth of a second. */
const MAX_COST = 10_000_000;

/** Estimates the cost of `matching`, in units of 15 nanoseconds. */
export function costOfMatching({ find: { name } }: Search, keys: readonly string[]): number {
  if (name === undefined) return 0;
  return matchCost(
    name,
    keys.reduce((sum, { length }) => sum + length, 0),
  );
}

/**
 * Returns the keys whose relative names match the pattern of the search, sorted.
 * @throws AppError LIMIT_REACHED if this takes too long.
 */
export function matching(search: Search, keys: readonly string[]): readonly string[] {
  if (costOfMatching(search, keys) > MAX_COST)
    throw new AppError('LIMIT_REACHED', {
      subject: describeSearch(search),
      detail: `its \`name\` is too complex for ${keys.length} keys`,
    });
  return matchKeys({ search, keys });
}

/** For the worker thread: does the same as `matching` for several searches, without its limit. */
export function matchAll(searches: readonly FoundKeys[]): readonly FoundKeys[] {
  return searches.map((listed) => ({ search: listed.search, keys: matchKeys(listed) }));
}

export const MATCH_ALL = defineTask(import.meta.url, matchAll);

function matchKeys({ search, keys }: FoundKeys): readonly string[] {
  const { name } = search.find;
  const pattern = name === undefined ? undefined : compilePattern(name);
  if (pattern === 'invalid')
    throw new AppError('CONFIG_INVALID', {
      subject: describeSearch(search),
      detail: 'its `name` cannot be parsed',
    });
  const matches = keys.filter((key) => {
    const relative = relativeName(search, key);
    return relative !== undefined && (pattern?.matcher(relative).find() ?? true);
  });
  return [...new Set(matches)].sort(compareText);
}

/** Whether a name pattern can be matched in linear time. Syntax: https://github.com/google/re2/wiki/Syntax */
export function isNamePattern(text: string): boolean {
  return compilePattern(text) !== 'invalid';
}

/** Matches anywhere in the text. An invalid pattern never matches. */
export function matchesPattern(pattern: string, text: string): boolean {
  const compiled = compilePattern(pattern);
  return compiled !== 'invalid' && compiled.matcher(text).find();
}

/** Turns a found key into a source. */
export function foundSource({ store, decode }: Search, key: string): Source {
  return { store, key, optional: false, ...(decode === undefined ? {} : { decode }) };
}

/**
 * Returns the recorded sources that a search may have found: whole values whose target key the mapping does not name in
 * `data`. Undefined if the annotation does not list the sources.
 */
function sourcesFromSearches(
  live: LiveSecret | undefined,
  { data }: Pick<Mapping, 'data'>,
): readonly TargetSource[] | undefined {
  if (live?.labels[LABEL.mapping] === undefined) return [];
  const written = parseSources(live.annotations[ANNOTATION.sources]);
  return (
    written &&
    [...written].flatMap(([name, source]) =>
      source.property === undefined && !Object.hasOwn(data, name) ? [source] : [],
    )
  );
}

/**
 * Returns the keys that this search no longer finds, but from which the live target was made. Each of these keys must
 * be read separately, because a missing list entry does not prove that the key is gone.
 * @param extra The keys of the live target that the mapping no longer produces.
 */
export function findLostKeys(
  { search, keys }: FoundKeys,
  live: LiveSecret | undefined,
  extra: readonly string[],
  mapping: Pick<Mapping, 'data'>,
): readonly string[] {
  const candidates =
    sourcesFromSearches(live, mapping)
      ?.filter(({ store }) => store === search.store)
      .map(({ key }) => key) ?? extra.flatMap((name) => keyOf(search, name) ?? []);
  const isFound = keyMatcher(search, keys);
  return matching(
    search,
    candidates.filter((key) => couldFind(search, key) && !isFound(key)),
  );
}

/**
 * Whether a search could ever find this key. The recorded names are not trusted, because anybody who may edit the
 * target can write its annotation. Lists never contain aliases of a secret, such as ARNs.
 */
export function couldFind(search: Search, key: string): boolean {
  if (search.unlisted === 'arns') return !/^arn:/i.test(key);
  return search.unlisted !== 'dotted' || !/(?:^|\/)\./.test(relativeName(search, key) ?? '');
}

/** Returns a function that tests whether a key is in the list. It ignores case if the store does. */
export function keyMatcher({ unlisted }: Search, keys: readonly string[]): (key: string) => boolean {
  const nameOf = (key: string) => (unlisted === 'anyCase' ? key.toLowerCase() : key);
  const names = new Set(keys.map(nameOf));
  return (key) => names.has(nameOf(key));
}

/** Derives the source key from the target key, for targets whose annotation is too long to name the sources. */
function keyOf(search: Search, name: string): string | undefined {
  const { patterns, prefix = '', case: letters, replace, invalid } = search.rename ?? {};
  if (!name.startsWith(prefix)) return undefined;
  if ((patterns ?? letters ?? replace ?? invalid) !== undefined)
    throw new AppError('SOURCE_ABSENT', {
      subject: describeSearch(search),
      detail: `key ${name} of the target may come from this search, but its source is not recorded`,
    });
  return `${prefixOf(search)}${name.slice(prefix.length)}`;
}

/**
 * Drops keys that are deleted or have no current version, if the target was never made from them. Some stores list
 * deleted keys; dropping them makes all stores behave alike.
 */
export function dropNeverWritten(
  matches: FoundKeys,
  live: LiveSecret | undefined,
  reading: (source: Source) => ReadResult | undefined,
  mapping: Pick<Mapping, 'data'>,
): FoundKeys {
  const written = sourcesFromSearches(live, mapping);
  const keys = matches.keys.filter((key) => {
    const source = foundSource(matches.search, key);
    const wasWritten =
      written?.some((targetSource) => targetSource.store === source.store && targetSource.key === key) ??
      true;
    return wasWritten || !isGone(reading(source));
  });
  return { ...matches, keys };
}

/** Searches read keys without a version, so `VERSION_GONE` means that the key has no current version. */
function isGone(result: ReadResult | undefined): boolean {
  if (result?.kind !== 'failed') return result?.kind === 'absent';
  return result.error.code === 'SOURCE_DELETED' || result.error.code === 'VERSION_GONE';
}

/** Returns the error, or the warning, about a search that found nothing although it is not optional. */
export function foundNothing(search: Search): AppError {
  return new AppError('SOURCE_ABSENT', {
    subject: describeSearch(search),
    detail: 'the search finds nothing',
    remedy:
      'Correct `path`, `name` or `tags` of the `find`, create a key in the store, or set `optional: true` beside `find`.',
  });
}

/** Describes the search for messages. */
export function describeSearch({ store, find: { path } }: Search): string {
  return `store ${store}, search ${path === '' ? 'of everything' : `below ${path}`}`;
}
