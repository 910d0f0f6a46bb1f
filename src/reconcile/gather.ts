import { AppError } from '../core/errors.ts';
import type { Mapping, Search, Source } from '../core/mapping.ts';
import { type ReadResult, refId, type StoreRef } from '../core/reading.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import type { FindQuery } from '../providers/provider.ts';
import { type Desired, desired, searchesOf, sourcesOf, storeRef } from '../sync/desired.ts';
import {
  among,
  describeSearch,
  type FoundKeys,
  foundSource,
  leftKeys,
  matching,
  withoutNeverThere,
} from '../sync/find.ts';
import { ANNOTATION, configHash, countOfSources } from '../sync/marks.ts';
import { describeSource } from '../sync/value.ts';

export interface GatherDeps {
  readonly read: (refs: readonly StoreRef[]) => Promise<ReadonlyMap<string, ReadResult>>;
  /** The full keys below a path. Fails whole when any part of the search fails. */
  readonly find: (store: string, query: FindQuery) => Promise<readonly string[]>;
  /** The `access` rules. */
  readonly allows: (use: { mapping: string; namespace: string; store: string; key: string }) => boolean;
  readonly allowsSearch: (use: {
    mapping: string;
    namespace: string;
    store: string;
    path: string;
  }) => boolean;
  /** Why no mapping may have this target, whatever the rules say. */
  readonly barred?: (id: TargetId) => AppError | undefined;
}

/** The target as it is now: what it was made of tells which keys a search has lost. */
type Live = () => Promise<LiveSecret | undefined>;

/**
 * Reads everything that a target is made of, or fails. Nothing is read for a mapping that may not read all of it,
 * and no search runs that could find what it may not read.
 */
export async function gather(mapping: Mapping, id: TargetId, live: Live, deps: GatherDeps): Promise<Desired> {
  const sources = sourcesOf(mapping);
  const searches = searchesOf(mapping);
  const denied =
    deps.barred?.(id) ??
    deniedSource(mapping, id, sources, deps) ??
    deniedSearch(mapping, id, searches, deps);
  if (denied !== undefined) return { kind: 'failed', error: denied };
  if (searches.length === 0) return desired(mapping, await deps.read(sources.map(storeRef)));

  const found = await settled(() => Promise.all(searches.map((search) => runSearch(search, deps))));
  if (found instanceof AppError) return { kind: 'failed', error: found };
  const now = await live();
  const known = found.flatMap(asSources);
  const hidden = deniedSource(mapping, id, known, deps);
  if (hidden !== undefined) return { kind: 'failed', error: hidden };
  const readings = await deps.read([...sources, ...known].map(storeRef));
  const finds = found.map((it) =>
    withoutNeverThere(it, now, (source) => readings.get(refId(storeRef(source))), mapping),
  );
  const shaped = desired(mapping, readings, finds);
  if (shaped.kind === 'failed') return shaped;

  const left = await settled(async () => {
    const extra = keysLeft(mapping, shaped.data, now);
    return finds.map((it) => ({ ...it, keys: leftKeys(it, now, extra, mapping) }));
  });
  if (left instanceof AppError) return { kind: 'failed', error: left };
  const gone = left.flatMap(asSources);
  if (gone.length === 0) return shaped;
  const barred = deniedSource(mapping, id, gone, deps);
  if (barred !== undefined) return { kind: 'failed', error: barred };
  const all = new Map([...readings, ...(await deps.read(gone.map(storeRef)))]);
  const back = await settled(() => Promise.all(left.map((it) => withoutUntagged(it, all, deps))));
  if (back instanceof AppError) return { kind: 'failed', error: back };
  const whole = finds.map((it, index) => ({ ...it, keys: [...it.keys, ...(back[index]?.keys ?? [])] }));
  return desired(mapping, all, whole);
}

/**
 * The keys of the live target that nothing of the mapping gives any more.
 * @throws AppError SOURCE_ABSENT where templates alone are in it, fewer sources are found than it was made of, and
 * its annotation has no room to name them.
 */
function keysLeft(
  mapping: Mapping,
  data: ReadonlyMap<string, unknown>,
  live: LiveSecret | undefined,
): readonly string[] {
  const { template } = mapping;
  const made = template?.data ?? {};
  const annotations = live?.annotations ?? {};
  // Of another text of the mapping the number tells nothing.
  const isOfIt = annotations[ANNOTATION.config] === configHash(mapping);
  const before = isOfIt ? countOfSources(annotations[ANNOTATION.sources]) : undefined;
  if (template?.only && before !== undefined && before > data.size)
    throw new AppError('SOURCE_ABSENT', {
      detail: `the target was made of ${before} sources, ${data.size} are found, and nothing tells which are missing`,
    });
  return [...(live?.data.keys() ?? [])].filter((key) => !data.has(key) && !Object.hasOwn(made, key));
}

/** What a store or the cluster may answer ends here; what is thrown beside that, and that it was stopped, is nothing of this target's. */
async function settled<T>(work: () => Promise<T>): Promise<T | AppError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError && error.code !== 'INTERRUPTED') return error;
    throw error;
  }
}

function asSources({ search, keys }: FoundKeys): readonly Source[] {
  return keys.map((key) => foundSource(search, key));
}

/** The keys that a search finds now. @throws AppError about the search, when any part of it fails */
export async function runSearch(search: Search, { find }: Pick<GatherDeps, 'find'>): Promise<FoundKeys> {
  const { path, tags } = search.find;
  try {
    return { search, keys: matching(search, await find(search.store, { path, tags })) };
  } catch (error) {
    if (error instanceof AppError) throw error.concerning(describeSearch(search));
    throw error;
  }
}

/**
 * A key that is still there left the search because it lost its tag, which is an ordinary change, or because the
 * list is not up to date. Only a list without the tags, which has it, can tell the two apart.
 */
async function withoutUntagged(
  left: FoundKeys,
  readings: ReadonlyMap<string, ReadResult>,
  deps: Pick<GatherDeps, 'find'>,
): Promise<FoundKeys> {
  const { search, keys } = left;
  const isThere = (key: string) => readings.get(refId(storeRef(foundSource(search, key))))?.kind === 'found';
  if (Object.keys(search.find.tags).length === 0 || !keys.some(isThere)) return left;
  const untagged = await runSearch({ ...search, find: { ...search.find, tags: {} } }, deps);
  const isListed = among(search, untagged.keys);
  return { search, keys: keys.filter((key) => !isThere(key) || !isListed(key)) };
}

function deniedSource(
  { name }: Mapping,
  { namespace }: TargetId,
  sources: readonly Source[],
  { allows }: Pick<GatherDeps, 'allows'>,
): AppError | undefined {
  const denied = sources.find(({ store, key }) => !allows({ mapping: name, namespace, store, key }));
  return denied && new AppError('NOT_ALLOWED', { about: describeSource(denied) });
}

function deniedSearch(
  { name }: Mapping,
  { namespace }: TargetId,
  searches: readonly Search[],
  { allowsSearch }: Pick<GatherDeps, 'allowsSearch'>,
): AppError | undefined {
  const denied = searches.find(
    ({ store, find }) => !allowsSearch({ mapping: name, namespace, store, path: find.path }),
  );
  return denied && new AppError('NOT_ALLOWED', { about: describeSearch(denied) });
}
