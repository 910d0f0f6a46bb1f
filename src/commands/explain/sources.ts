import { AppError } from '../../core/errors.ts';
import type { Mapping, Search, Source } from '../../core/mapping.ts';
import { type FoundRead, type ReadResult, refId } from '../../core/read-result.ts';
import { compareText, type TargetId } from '../../core/target.ts';
import type { SyncContext } from '../../reconcile/context.ts';
import type { Decision } from '../../reconcile/decide.ts';
import { runSearch } from '../../reconcile/search.ts';
import { isSpread, searchesOf, sourcesOf, storeRef } from '../../sync/desired.ts';
import { describeSearch, dropNeverWritten, foundSource, matching } from '../../sync/find.ts';
import { absentError, createJsonCache, describeSource, membersOf, pickValue } from '../../sync/value.ts';

export interface ExplainedSource {
  /** If a search failed, `key` is the path of the search. */
  readonly source: Source;
  /** `unread`: the mapping is not allowed to read one of its sources, so no source is read. */
  readonly state: 'found' | 'absent' | 'failed' | 'unread';
  readonly version?: string;
  readonly error?: AppError;
}

type Deps = Pick<SyncContext, 'allows' | 'allowsSearch' | 'find' | 'read'>;

/** A target with the decision about it. If the target is pinned, the sources in `mapping` have the pinned versions. */
interface DecidedTarget extends Pick<Decision, 'desired' | 'live'> {
  readonly mapping: Mapping;
  readonly id: TargetId;
}

/**
 * Returns the sources of a target with their current state: first the named sources, then the results of each search.
 * If the `access` rules deny a source, it is not read.
 */
export async function explainSources(
  target: DecidedTarget,
  context: Deps,
): Promise<readonly ExplainedSource[]> {
  const named = sourcesOf(target.mapping);
  const searches = searchesOf(target.mapping);
  if (target.desired.kind === 'failed' && target.desired.error.code === 'NOT_ALLOWED')
    return unreadSources(target, named, searches, context);
  const reading = await readAllowed(target, named, context);
  const searchSources = await Promise.all(searches.map((search) => explainSearch(target, search, context)));
  const spreads = new Set(target.mapping.dataFrom.filter(isSpread));
  const parsed = createJsonCache();
  const valuesOf = (source: Source, value: FoundRead): unknown =>
    (spreads.has(source) ? membersOf : pickValue)(source, value, parsed);
  return [
    ...named.map((source) => explainSource(source, reading(source), valuesOf)),
    ...searchSources.flat(),
  ];
}

/**
 * Returns the sources of a target that is not allowed to read all of them, with an error for each denied source. If all
 * named sources and search paths are allowed, the denied source must be a key that a search finds, so run the searches.
 * In all other cases, the searches do not run.
 */
async function unreadSources(
  target: DecidedTarget,
  named: readonly Source[],
  searches: readonly Search[],
  context: Deps,
): Promise<readonly ExplainedSource[]> {
  const unreadKey = (source: Source) =>
    unread(source, isAllowed(target, source, context), describeSource(source));
  const searchPaths = searches.map((search) =>
    unread(searchPathSource(search), isSearchAllowed(target, search, context), describeSearch(search)),
  );
  const all = [...named.map(unreadKey), ...searchPaths];
  if (all.some(({ state }) => state === 'failed')) return all;
  const searchResults = await Promise.all(searches.map((search) => runSearch(search, context)));
  return [
    ...named.map(unreadKey),
    ...searchResults.flatMap(({ search, keys }) => keys.map((key) => unreadKey(foundSource(search, key)))),
  ];
}

function unread(source: Source, allowed: boolean, about: string): ExplainedSource {
  return allowed
    ? { source, state: 'unread' }
    : failed(source, new AppError('NOT_ALLOWED', { subject: about }));
}

function searchPathSource({ store, find }: Search): Source {
  return { store, key: find.path, optional: false };
}

function isAllowed({ mapping, id }: DecidedTarget, { store, key }: Source, { allows }: Deps): boolean {
  return allows({ mapping, namespace: id.namespace, store, key });
}

function isSearchAllowed({ mapping, id }: DecidedTarget, { store, find }: Search, deps: Deps): boolean {
  const { path } = find;
  return deps.allowsSearch({ mapping, namespace: id.namespace, store, path });
}

async function explainSearch(
  target: DecidedTarget,
  search: Search,
  context: Deps,
): Promise<readonly ExplainedSource[]> {
  const { mapping, live } = target;
  try {
    const found = await runSearch(search, context);
    const kept = keptKeys(target, search);
    const sources = [...found.keys, ...kept].map((key) => foundSource(search, key));
    const reading = await readAllowed(target, sources, context);
    const { keys } = dropNeverWritten(found, live, reading, mapping);
    return [...new Set([...keys, ...kept])]
      .sort(compareText)
      .map((key) => foundSource(search, key))
      .map((source) => explainSource(source, reading(source), pickValue));
  } catch (error) {
    if (error instanceof AppError) return [failed(searchPathSource(search), error)];
    throw error;
  }
}

/** Returns the keys that the search no longer finds but the target still uses. */
function keptKeys({ desired, mapping }: DecidedTarget, search: Search): readonly string[] {
  if (desired.kind !== 'ready') return [];
  const ofStore = ({ store }: { readonly store: string }): boolean => store === search.store;
  const named = new Set(
    sourcesOf(mapping)
      .filter(ofStore)
      .map(({ key }) => key),
  );
  const keys = [...desired.sources.values(), ...desired.absent]
    .filter((source) => ofStore(source) && source.property === undefined && !named.has(source.key))
    .map(({ key }) => key);
  return matching(search, keys);
}

/**
 * Returns a function that looks up the result of a read. The function returns undefined for a source that is not
 * allowed.
 */
async function readAllowed(
  target: DecidedTarget,
  sources: readonly Source[],
  context: Deps,
): Promise<(source: Source) => ReadResult | undefined> {
  const allowed = sources.filter((source) => isAllowed(target, source, context));
  const readings = await context.read(allowed.map(storeRef));
  return (source) => readings.get(refId(storeRef(source)));
}

function explainSource(
  source: Source,
  reading: ReadResult | undefined,
  use: (source: Source, found: FoundRead) => unknown,
): ExplainedSource {
  const about = describeSource(source);
  switch (reading?.kind) {
    case 'found': {
      const error = errorOf(() => use(source, reading));
      if (error === undefined) return { source, state: 'found', version: reading.version };
      const isPassedOver = source.optional && error.code === 'PROPERTY_MISSING';
      return { source, state: isPassedOver ? 'absent' : 'failed', version: reading.version, error };
    }
    case 'absent':
      return { source, state: 'absent', error: absentError(source, reading.place) };
    case 'failed':
      return failed(source, reading.error);
    default:
      return failed(source, new AppError('NOT_ALLOWED', { subject: about }));
  }
}

/** Returns the error that `use` throws if the mapping cannot use the value. */
function errorOf(use: () => unknown): AppError | undefined {
  try {
    use();
    return undefined;
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

function failed(source: Source, error: AppError): ExplainedSource {
  return { source, state: 'failed', error };
}
