import { AppError } from '../core/errors.ts';
import type { Mapping, Search, Source } from '../core/mapping.ts';
import type { ReadResult } from '../core/read-result.ts';
import type { LiveSecret } from '../core/secret.ts';
import { compareText } from '../core/target.ts';
import { ANNOTATION, LABEL, parseSources, type TargetSource } from './ownership-metadata.ts';
import { compilePattern } from './pattern.ts';

/** One search and the full keys that it stands for, sorted. */
export interface FoundKeys {
  readonly search: Search;
  readonly keys: readonly string[];
}

/** The name that a search matches and makes a target key of; undefined for a key that is not below its path. */
export function relativeName(search: Search, key: string): string | undefined {
  const prefix = prefixOf(search);
  return key.startsWith(prefix) && key.length > prefix.length ? key.slice(prefix.length) : undefined;
}

/** What stands before the relative name in each key below the path. */
function prefixOf({ find: { path }, isFlat }: Search): string {
  if (isFlat) return path;
  const folder = path.replace(/\/+$/, '');
  return folder === '' ? '' : `${folder}/`;
}

/** Of the keys that a store found, those whose name matches. */
export function matching(search: Search, keys: readonly string[]): readonly string[] {
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

/** Whether a name pattern is one of linear time: https://github.com/google/re2/wiki/Syntax */
export function isNamePattern(text: string): boolean {
  return compilePattern(text) !== 'invalid';
}

/** Anywhere in the text; a pattern that is not of linear time matches nothing. */
export function matchesPattern(pattern: string, text: string): boolean {
  const compiled = compilePattern(pattern);
  return compiled !== 'invalid' && compiled.matcher(text).find();
}

/** A key that a search found, as a source. */
export function foundSource({ store, decode }: Search, key: string): Source {
  return { store, key, optional: false, ...(decode === undefined ? {} : { decode }) };
}

/**
 * What of the live target searches may have made: whole values, under names that `data` does not give. Undefined where
 * its annotation does not name its sources.
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
 * The keys from which the live target was made by this search, and which it does not find any more. Each has to be read
 * by itself before anything follows from that: a list decides nothing.
 * @param extra The keys of the live target that the mapping does not give any more.
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
  return matching(search, candidates).filter((key) => couldFind(search, key) && !isFound(key));
}

/**
 * Whether a search could ever give a key. The annotation may be written by whoever may edit the target, and a second
 * name of a secret is in no list by which it could be told from one that the search is not to find.
 */
export function couldFind(search: Search, key: string): boolean {
  if (search.unlisted === 'arns') return !/^arn:/i.test(key);
  return search.unlisted !== 'dotted' || !/(?:^|\/)\./.test(relativeName(search, key) ?? '');
}

/** Whether a key is one of these, be it in other letters where that is the same. */
export function keyMatcher({ unlisted }: Search, keys: readonly string[]): (key: string) => boolean {
  const nameOf = (key: string) => (unlisted === 'anyCase' ? key.toLowerCase() : key);
  const names = new Set(keys.map(nameOf));
  return (key) => names.has(nameOf(key));
}

/** The annotation may be too long to name each source. Then the key follows from its name in the target, if it can. */
function keyOf(search: Search, name: string): string | undefined {
  const { prefix = '', case: letters, invalid } = search.rename ?? {};
  if (!name.startsWith(prefix)) return undefined;
  if (letters !== undefined || invalid !== undefined)
    throw new AppError('SOURCE_ABSENT', {
      subject: describeSearch(search),
      detail: `key ${name} of the target may be of it, and nothing tells of which source it was made`,
    });
  return `${prefixOf(search)}${name.slice(prefix.length)}`;
}

/**
 * Without the keys that are gone, deleted in the store or without a current version, and of which the target was never
 * made: they take nothing away. Some stores list what is deleted, others do not; so it is the same for all.
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

/** What is found names no version, so one that is gone is the current one: the store lists a key without a value. */
function isGone(result: ReadResult | undefined): boolean {
  if (result?.kind !== 'failed') return result?.kind === 'absent';
  return result.error.code === 'SOURCE_DELETED' || result.error.code === 'VERSION_GONE';
}

/** A search by its names, for messages. */
export function describeSearch({ store, find: { path } }: Search): string {
  return `store ${store}, search ${path === '' ? 'of everything' : `below ${path}`}`;
}
