import { AppError } from '../core/errors.ts';
import type { Search } from '../core/mapping.ts';
import { workerThread } from '../core/worker-thread.ts';
import type { FindQuery } from '../providers/provider.ts';
import { costOfMatching, describeSearch, type FoundKeys, MATCH_ALL, matchAll } from '../sync/find.ts';
import { type MappingBudget, OWN_TIME_MS } from './render.ts';

interface SearchDeps {
  /** Returns the full keys below a path. Throws if any part of the search fails. */
  readonly find: (store: string, query: FindQuery) => Promise<readonly string[]>;
}

/** Names up to this cost are matched in the main thread. It takes about 15 ms. */
const SMALL_COST = 1_000_000;

/**
 * Returns the keys that a search finds now. @throws AppError with the search as its subject if any part of the search
 * fails.
 */
export async function runSearch(search: Search, deps: SearchDeps): Promise<FoundKeys> {
  const [found] = await runSearches([search], deps, { group: search.store, timeMs: OWN_TIME_MS });
  return found ?? { search, keys: [] };
}

/** Does the same as `runSearch` for all searches of a mapping, with one budget. @throws AppError LIMIT_REACHED */
export async function runSearches(
  searches: readonly Search[],
  { find }: SearchDeps,
  { group, timeMs }: Pick<MappingBudget, 'group' | 'timeMs'>,
): Promise<readonly FoundKeys[]> {
  const listed = await Promise.all(
    searches.map(async (search) => ({ search, keys: await list(search, { find }) })),
  );
  const cost = listed.reduce((sum, { search, keys }) => sum + costOfMatching(search, keys), 0);
  if (cost <= SMALL_COST) return matchAll(listed);
  const result = await workerThread.run(MATCH_ALL, listed, { group, timeMs });
  if (result.kind === 'done') return result.output;
  const [first] = searches;
  throw new AppError('LIMIT_REACHED', {
    ...(first === undefined ? {} : { subject: describeSearch(first) }),
    detail: `matching the names of all keys takes more than ${timeMs} ms of processor time`,
  });
}

async function list(search: Search, { find }: SearchDeps): Promise<readonly string[]> {
  const { path, tags } = search.find;
  try {
    return await find(search.store, { path, tags });
  } catch (error) {
    if (error instanceof AppError) throw error.withSubject(describeSearch(search));
    throw error;
  }
}
