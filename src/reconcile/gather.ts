import { AppError } from '../core/errors.ts';
import type { Mapping, Search, Source } from '../core/mapping.ts';
import { type ReadResult, refId, type StoreRef } from '../core/read-result.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import type { FindQuery } from '../providers/provider.ts';
import { type Desired, searchesOf, shapeDesired, sharedRef, sourcesOf, storeRef } from '../sync/desired.ts';
import {
  describeSearch,
  dropNeverWritten,
  type FoundKeys,
  findLostKeys,
  foundSource,
  keyMatcher,
} from '../sync/find.ts';
import { ANNOTATION, configHash, countOfSources } from '../sync/ownership-metadata.ts';
import { policyError } from '../sync/policies.ts';
import { describeSource } from '../sync/value.ts';
import { budgetOf, type MappingBudget } from './render.ts';
import { runSearches } from './search.ts';

export interface GatherDeps {
  readonly read: (refs: readonly StoreRef[]) => Promise<ReadonlyMap<string, ReadResult>>;
  /** Resolves when the audit has durably stored the records of the latest reads of these references. */
  readonly whenRecorded: (refs: readonly StoreRef[]) => Promise<void>;
  /** Returns the full keys below a path. Throws if any part of the search fails. */
  readonly find: (store: string, query: FindQuery) => Promise<readonly string[]>;
  /** Whether the `access` rules allow a mapping to read a key for a namespace. */
  readonly allows: (use: { mapping: Mapping; namespace: string; store: string; key: string }) => boolean;
  readonly allowsSearch: (use: {
    mapping: Mapping;
    namespace: string;
    store: string;
    path: string;
  }) => boolean;
  /** Returns an error if the mapping must not have this target. The `access` rules are not part of this check. */
  readonly forbiddenTarget?: (mapping: Mapping, id: TargetId) => AppError | undefined;
}

/**
 * Reads the current target. Its annotation names the sources of the last write, and so reveals keys that a search no
 * longer finds.
 */
type ReadLive = () => Promise<LiveSecret | undefined>;

/**
 * Reads all sources of a target. Fails if one of them cannot be read. If the mapping is not allowed to read one of
 * them, nothing is read. A search is not run if it could find forbidden keys.
 */
export async function gather(
  mapping: Mapping,
  id: TargetId,
  live: ReadLive,
  deps: GatherDeps,
): Promise<Desired> {
  const refused = policyError(mapping, id);
  if (refused !== undefined) return { kind: 'failed', error: refused };
  const result = await gatherAll(mapping, id, live, deps);
  if (result.kind === 'failed') return result;
  const denied = tooManyKeys(mapping, result.data.size) ?? policyError(mapping, id, result.data.keys());
  return denied === undefined ? result : { kind: 'failed', error: denied };
}

/** A merge keeps the type of the Secret, so the mapping must be allowed to have this type. */
export function forbiddenMerge(
  { target, ...mapping }: Mapping,
  live: LiveSecret | undefined,
  { forbiddenTarget }: Pick<GatherDeps, 'forbiddenTarget'>,
): AppError | undefined {
  if (live === undefined || target.mode !== 'merge') return undefined;
  return forbiddenTarget?.({ ...mapping, target: { ...target, type: live.type } }, live.id);
}

function tooManyKeys({ name, include }: Mapping, keys: number): AppError | undefined {
  const limit = include?.limits.keysPerMapping ?? Number.POSITIVE_INFINITY;
  if (keys <= limit) return undefined;
  const detail = `${keys} keys, and \`limits.keysPerMapping\` is ${limit}`;
  return new AppError('LIMIT_REACHED', { subject: `mapping ${name}`, detail });
}

async function gatherAll(mapping: Mapping, id: TargetId, live: ReadLive, deps: GatherDeps): Promise<Desired> {
  const sources = sourcesOf(mapping);
  const searches = searchesOf(mapping);
  const denied =
    deps.forbiddenTarget?.(mapping, id) ??
    deniedSource(mapping, id, sources, deps) ??
    deniedSearch(mapping, id, searches, deps);
  if (denied !== undefined) return { kind: 'failed', error: denied };
  if (searches.length === 0) {
    const results = await deps.read(sources.map((source) => sharedRef(mapping, source)));
    const deniedLink = deniedResolved(mapping, id, sources, { ...deps, results });
    if (deniedLink !== undefined) return { kind: 'failed', error: deniedLink };
    return shapeDesired(mapping, results);
  }

  const budget = budgetOf(mapping, id);
  const matches = await resultOrError(() => runSearches(searches, deps, budget));
  if (matches instanceof AppError) return { kind: 'failed', error: matches };
  const liveSecret = await live();
  const matchedSources = matches.flatMap(asSources);
  const deniedMatch =
    deniedSource(mapping, id, matchedSources, deps) ??
    tooManyKeys(mapping, sources.length + matchedSources.length);
  if (deniedMatch !== undefined) return { kind: 'failed', error: deniedMatch };
  const readings = await deps.read([...sources, ...matchedSources].map(storeRef));
  const deniedLink =
    deniedResolved(mapping, id, sources, { ...deps, results: readings }) ??
    deniedFound(mapping, id, matches, { ...deps, results: readings });
  if (deniedLink !== undefined) return { kind: 'failed', error: deniedLink };
  const finds = matches.map((foundKeys) =>
    dropNeverWritten(foundKeys, liveSecret, (source) => readings.get(refId(storeRef(source))), mapping),
  );
  const result = shapeDesired(mapping, readings, finds);
  if (result.kind === 'failed') return result;

  const lostKeys = await resultOrError(async () => {
    const extra = unexplainedKeys(mapping, result.data, liveSecret);
    return finds.map((foundKeys) => ({
      ...foundKeys,
      keys: findLostKeys(foundKeys, liveSecret, extra, mapping),
    }));
  });
  if (lostKeys instanceof AppError) return { kind: 'failed', error: lostKeys };
  const lostSources = lostKeys.flatMap(asSources);
  if (lostSources.length === 0) return result;
  const deniedLost = deniedSource(mapping, id, lostSources, deps);
  if (deniedLost !== undefined) return { kind: 'failed', error: deniedLost };
  const all = new Map([...readings, ...(await deps.read(lostSources.map(storeRef)))]);
  const deniedLostLink = deniedFound(mapping, id, lostKeys, { ...deps, results: all });
  if (deniedLostLink !== undefined) return { kind: 'failed', error: deniedLostLink };
  const stillMissing = await resultOrError(() =>
    Promise.all(lostKeys.map((lost) => withoutUntagged(lost, all, { ...deps, budget }))),
  );
  if (stillMissing instanceof AppError) return { kind: 'failed', error: stillMissing };
  const combined = finds.map((foundKeys, index) => ({
    ...foundKeys,
    keys: [...foundKeys.keys, ...(stillMissing[index]?.keys ?? [])],
  }));
  return shapeDesired(mapping, all, combined);
}

/**
 * Returns the keys of the live target that no source of the mapping provides any more.
 * @throws AppError SOURCE_ABSENT if the target has fewer sources than before and it is unknown which ones are missing.
 * This occurs if all keys come from templates and the annotation contains only the number of sources, because there
 * were too many names for it.
 */
function unexplainedKeys(
  mapping: Mapping,
  data: ReadonlyMap<string, unknown>,
  live: LiveSecret | undefined,
): readonly string[] {
  const { template } = mapping;
  const templateKeys = template?.data ?? {};
  const annotations = live?.annotations ?? {};
  // The recorded number of sources can be compared with the current number only if the mapping's configuration is
  // unchanged.
  const isSameConfig = annotations[ANNOTATION.config] === configHash(mapping);
  const previousCount = isSameConfig ? countOfSources(annotations[ANNOTATION.sources]) : undefined;
  if (template?.only && previousCount !== undefined && previousCount > data.size)
    throw new AppError('SOURCE_ABSENT', {
      detail: `the target was made from ${previousCount} sources, only ${data.size} were found, and the missing ones are not recorded`,
    });
  return [...(live?.data.keys() ?? [])].filter((key) => !data.has(key) && !Object.hasOwn(templateKeys, key));
}

/**
 * Runs work, and returns the expected errors of a store or the cluster as values. Throws other errors and
 * interruptions, because they concern more than this target.
 */
async function resultOrError<T>(work: () => Promise<T>): Promise<T | AppError> {
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

/**
 * Returns the lost keys. Omits keys that still exist and have only lost their tag. Losing a tag is an ordinary change.
 * If a search misses an existing key, either the key has lost its tag or the list of the store is stale. If a list
 * without tags contains the key, the key has lost its tag.
 */
async function withoutUntagged(
  lost: FoundKeys,
  readings: ReadonlyMap<string, ReadResult>,
  { budget, ...deps }: Pick<GatherDeps, 'find'> & { readonly budget: MappingBudget },
): Promise<FoundKeys> {
  const { search, keys } = lost;
  const isThere = (key: string) => readings.get(refId(storeRef(foundSource(search, key))))?.kind === 'found';
  if (Object.keys(search.find.tags).length === 0 || !keys.some(isThere)) return lost;
  const withoutTags = { ...search, find: { ...search.find, tags: {} } };
  const [untagged] = await runSearches([withoutTags], deps, budget);
  const isListed = keyMatcher(search, untagged?.keys ?? []);
  return { search, keys: keys.filter((key) => !isThere(key) || !isListed(key)) };
}

function deniedSource(
  mapping: Mapping,
  { namespace }: TargetId,
  sources: readonly Source[],
  { allows }: Pick<GatherDeps, 'allows'>,
): AppError | undefined {
  const denied = sources.find(({ store, key }) => !allows({ mapping, namespace, store, key }));
  return denied && new AppError('NOT_ALLOWED', { subject: describeSource(denied) });
}

interface ResolvedDeps extends Pick<GatherDeps, 'allows'> {
  readonly results: ReadonlyMap<string, ReadResult>;
}

/** Returns an error if links in a store lead from a source to a key that the rules do not allow. */
function deniedResolved(
  mapping: Mapping,
  id: TargetId,
  sources: readonly Source[],
  { results, allows }: ResolvedDeps,
): AppError | undefined {
  const denied = sources.find((source) => {
    const key = results.get(refId(storeRef(source)))?.resolvedKey;
    return key !== undefined && deniedSource(mapping, id, [{ ...source, key }], { allows }) !== undefined;
  });
  return denied && new AppError('NOT_ALLOWED', { subject: describeSource(denied), detail: LINK });
}

/** Like `deniedResolved`, for found keys. The error does not name a key, because its name may belong to others. */
function deniedFound(
  mapping: Mapping,
  id: TargetId,
  found: readonly FoundKeys[],
  deps: ResolvedDeps,
): AppError | undefined {
  const denied = found.find((keys) => deniedResolved(mapping, id, asSources(keys), deps) !== undefined);
  return denied && new AppError('NOT_ALLOWED', { subject: describeSearch(denied.search), detail: LINK });
}

const LINK = 'a link in the store leads to a key that is not allowed';

function deniedSearch(
  mapping: Mapping,
  { namespace }: TargetId,
  searches: readonly Search[],
  { allowsSearch }: Pick<GatherDeps, 'allowsSearch'>,
): AppError | undefined {
  const denied = searches.find(
    ({ store, find }) => !allowsSearch({ mapping, namespace, store, path: find.path }),
  );
  return denied && new AppError('NOT_ALLOWED', { subject: describeSearch(denied) });
}
