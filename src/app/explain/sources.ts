import { AppError } from '../../core/errors.ts';
import type { Mapping, Search, Source } from '../../core/mapping.ts';
import { type FoundRead, type ReadResult, refId } from '../../core/reading.ts';
import type { TargetId } from '../../core/target.ts';
import type { Decision } from '../../reconcile/decide.ts';
import { runSearch } from '../../reconcile/gather.ts';
import type { Pass } from '../../service/runs/pass.ts';
import { isSpread, searchesOf, sourcesOf, storeRef } from '../../sync/desired.ts';
import { describeSearch, foundSource, matching, withoutNeverThere } from '../../sync/find.ts';
import { createParsed, describeSource, membersOf, pickValue } from '../../sync/value.ts';

export interface ExplainedSource {
  /** Of a search that failed, its path stands for the key. */
  readonly source: Source;
  /** `unread`: nothing is read for a mapping that may not read all of it. */
  readonly state: 'found' | 'absent' | 'failed' | 'unread';
  readonly version?: string;
  readonly error?: AppError;
}

type Deps = Pick<Pass, 'allows' | 'allowsSearch' | 'find' | 'read'>;

/** What a target is explained by, as it was decided on: of one that is pinned, the mapping as it was then. */
interface Decided extends Pick<Decision, 'desired' | 'live'> {
  readonly mapping: Mapping;
  readonly id: TargetId;
}

/**
 * What a target is made of, as a run would read it now: what its mapping names, then what each search stands for.
 * Nothing is read for what `access` does not allow.
 */
export async function explainSources(it: Decided, pass: Deps): Promise<readonly ExplainedSource[]> {
  const named = sourcesOf(it.mapping);
  const searches = searchesOf(it.mapping);
  if (it.desired.kind === 'failed' && it.desired.error.code === 'NOT_ALLOWED')
    return unreadSources(it, named, searches, pass);
  const reading = await readAllowed(it, named, pass);
  const found = await Promise.all(searches.map((search) => explainSearch(it, search, pass)));
  const spreads = new Set(it.mapping.dataFrom.filter(isSpread));
  const parsed = createParsed();
  const valuesOf = (source: Source, value: FoundRead): unknown =>
    (spreads.has(source) ? membersOf : pickValue)(source, value, parsed);
  return [...named.map((source) => explainSource(source, reading(source), valuesOf)), ...found.flat()];
}

/** Which of them is not allowed. A search runs where all that the mapping names is, since it is what it finds then. */
async function unreadSources(
  it: Decided,
  named: readonly Source[],
  searches: readonly Search[],
  pass: Deps,
): Promise<readonly ExplainedSource[]> {
  const unreadKey = (source: Source) => unread(source, isAllowed(it, source, pass), describeSource(source));
  const places = searches.map((search) =>
    unread(placeOf(search), isSearchAllowed(it, search, pass), describeSearch(search)),
  );
  const all = [...named.map(unreadKey), ...places];
  if (all.some(({ state }) => state === 'failed')) return all;
  const found = await Promise.all(searches.map((search) => runSearch(search, pass)));
  return [
    ...named.map(unreadKey),
    ...found.flatMap(({ search, keys }) => keys.map((key) => unreadKey(foundSource(search, key)))),
  ];
}

function unread(source: Source, allowed: boolean, about: string): ExplainedSource {
  return allowed ? { source, state: 'unread' } : failed(source, new AppError('NOT_ALLOWED', { about }));
}

function placeOf({ store, find }: Search): Source {
  return { store, key: find.path, optional: false };
}

function isAllowed({ mapping, id }: Decided, { store, key }: Source, { allows }: Deps): boolean {
  return allows({ mapping: mapping.name, namespace: id.namespace, store, key });
}

function isSearchAllowed({ mapping, id }: Decided, { store, find }: Search, deps: Deps): boolean {
  const { path } = find;
  return deps.allowsSearch({ mapping: mapping.name, namespace: id.namespace, store, path });
}

async function explainSearch(it: Decided, search: Search, pass: Deps): Promise<readonly ExplainedSource[]> {
  const { mapping, live } = it;
  try {
    const found = await runSearch(search, pass);
    const kept = keptKeys(it, search);
    const sources = [...found.keys, ...kept].map((key) => foundSource(search, key));
    const reading = await readAllowed(it, sources, pass);
    const { keys } = withoutNeverThere(found, live, reading, mapping);
    return matching(search, [...keys, ...kept])
      .map((key) => foundSource(search, key))
      .map((source) => explainSource(source, reading(source), pickValue));
  } catch (error) {
    if (error instanceof AppError) return [failed(placeOf(search), error)];
    throw error;
  }
}

/** Of what was decided on: keys of the search that it may find no more, and of which the target is made still. */
function keptKeys({ desired, mapping }: Decided, search: Search): readonly string[] {
  if (desired.kind !== 'ready') return [];
  const ofStore = ({ store }: { readonly store: string }): boolean => store === search.store;
  const named = new Set(
    sourcesOf(mapping)
      .filter(ofStore)
      .map(({ key }) => key),
  );
  const keys = [...desired.sources.values(), ...desired.absent]
    .filter((it) => ofStore(it) && it.property === undefined && !named.has(it.key))
    .map(({ key }) => key);
  return matching(search, keys);
}

/** Gives what was read of each; nothing of one that is not allowed. */
async function readAllowed(
  it: Decided,
  sources: readonly Source[],
  pass: Deps,
): Promise<(source: Source) => ReadResult | undefined> {
  const allowed = sources.filter((source) => isAllowed(it, source, pass));
  const readings = await pass.read(allowed.map(storeRef));
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
      const fault = faultOf(() => use(source, reading));
      if (fault === undefined) return { source, state: 'found', version: reading.version };
      const isPassedOver = source.optional && fault.code === 'PROPERTY_MISSING';
      return { source, state: isPassedOver ? 'absent' : 'failed', version: reading.version, error: fault };
    }
    case 'absent':
      return { source, state: 'absent', error: new AppError('SOURCE_ABSENT', { about }) };
    case 'failed':
      return failed(source, reading.error);
    default:
      return failed(source, new AppError('NOT_ALLOWED', { about }));
  }
}

/** What of the value that was read is not as the mapping takes it. */
function faultOf(use: () => unknown): AppError | undefined {
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
