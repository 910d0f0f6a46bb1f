import { AppError } from '../../core/errors.ts';
import type { VersionResult } from '../provider.ts';
import { BATCH_SIZE } from './batch.ts';
import { checkKey, MOST_DESCRIBED, pick } from './keys.ts';
import { listPages } from './list.ts';
import type { Store } from './read.ts';
import { asStoreError } from './session.ts';
import { type Current, currentOf, describe } from './single.ts';

/** The most values that one filter takes. */
const MAX_PREFIXES = 10;

const UNKNOWN: VersionResult = { kind: 'unknown' };

/**
 * The current version ids without the values, where telling them takes no more requests than reading would: a list
 * that is longer than that is left, what it has not told is unknown, and the next pass does not begin it.
 */
export async function tellVersions(
  store: Store,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<readonly VersionResult[]> {
  const wanted = [...new Set(keys)].filter((key) => isKey(key, store.config.region));
  const known = await tell(store, wanted, signal);
  return keys.map((key) => {
    const current = known.get(key);
    return current === undefined ? UNKNOWN : { kind: 'known', ...current };
  });
}

type Known = ReadonlyMap<string, Current | undefined>;

const NOTHING: Known = new Map();

async function tell(store: Store, keys: readonly string[], signal: AbortSignal | undefined): Promise<Known> {
  const { lists, config } = store;
  const prefixes = prefixesOf(keys);
  const isFew = keys.length <= MOST_DESCRIBED;
  const name = JSON.stringify(isFew ? [keys] : [keys.length, prefixes]);
  const reads = callsToRead(store, keys);
  // A description shows no value and needs no decryption, so two of them are worth one batch.
  const most = isFew ? keys.length : reads;
  // The list may be five minutes late, which `strict` does not accept.
  if (config.freshness !== 'strict' && keys.length > 0 && lists.areWorth(name, most))
    return isFew
      ? describeEach(store, keys, { name, signal })
      : listed(store, keys, { name, prefixes, most, signal });
  const way = store.batch.isUsable ? 'batch' : 'read';
  if (keys.length > 0) store.deps.onWay?.({ way, keys: keys.length, calls: reads });
  return NOTHING;
}

function callsToRead({ batch }: Store, keys: readonly string[]): number {
  if (!batch.isUsable) return keys.length;
  const alone = keys.filter((key) => batch.isAlone(key)).length;
  return Math.ceil((keys.length - alone) / BATCH_SIZE) + alone;
}

async function describeEach(
  store: Store,
  keys: readonly string[],
  { name, signal }: Pick<ListOptions, 'name' | 'signal'>,
): Promise<Known> {
  const pairs = keys.map(async (key) => {
    const description = await orUndefined(describe(store.session, key, signal));
    return [key, description?.isDeleted === false ? description.current : undefined] as const;
  });
  const known = new Map(await Promise.all(pairs));
  // One that is not to be had, or says nothing, would cost its call and a read each time.
  const calls = keys.length + callsToRead(store, unknownIn(known));
  store.lists.note(name, calls);
  store.deps.onWay?.({ way: 'describe', keys: keys.length, calls });
  return known;
}

function unknownIn(known: Known): readonly string[] {
  return [...known].flatMap(([key, version]) => (version === undefined ? [key] : []));
}

interface ListOptions {
  /** By which what it costs is remembered. */
  readonly name: string;
  readonly prefixes: readonly string[];
  /** Requests that reading all would take. */
  readonly most: number;
  readonly signal: AbortSignal | undefined;
}

/** What is kept of an entry of a list. */
interface ListedSecret {
  readonly Name: string;
  readonly ARN: string;
  readonly current: Current | undefined;
}

/** Of an ARN, what follows `secret:`; the name, where the six characters at its end were left out. */
function nameIn(key: string): string {
  return key.replace(/^arn:.*?:secret:/, '');
}

async function listed(
  store: Store,
  keys: readonly string[],
  { name, prefixes, most, signal }: ListOptions,
): Promise<Known> {
  const entries: ListedSecret[] = [];
  const wanted = new Set(keys);
  const names = new Set(keys.map(nameIn));
  const missing = new Set(keys);
  let page = 0;
  const collect = async (): Promise<'whole' | 'left'> => {
    for await (const list of listPages(store.session, prefixes, signal)) {
      // A large account has more than fits into memory, and its entries say much that nobody asks for.
      for (const entry of list) {
        const { Name = '', ARN = '' } = entry;
        if (names.has(Name) || wanted.has(ARN))
          entries.push({ Name, ARN, current: currentOf(entry.SecretVersionsToStages, entry) });
      }
      page += 1;
      // An ARN without its six characters may yet find a better match.
      for (const { Name: found = '', ARN: arn = '' } of list) {
        missing.delete(found);
        missing.delete(arn);
      }
      if (missing.size === 0) return 'whole';
      if (page >= most) return 'left';
    }
    return 'whole';
  };
  const how = await orUndefined(collect(), () => store.lists.deny());
  const byName = Map.groupBy(entries, ({ Name }) => Name);
  const byArn = new Map(entries.map((entry) => [entry.ARN, entry]));
  const known = new Map(
    keys.map((key) => {
      const entry = byArn.get(key) ?? pick(key, byName.get(nameIn(key)) ?? []);
      return [key, entry?.current];
    }),
  );
  if (how === undefined) return known;
  const unknown = unknownIn(known);
  // Where the list went on, nobody knows for how long: at the least for another page.
  const calls = page + callsToRead(store, unknown) + (how === 'left' && unknown.length > 0 ? 1 : 0);
  store.lists.note(name, calls);
  store.deps.onWay?.({ way: 'list', keys: keys.length, calls });
  return known;
}

/** As few secrets of others as one filter allows: whole names, else what comes before the first `/`, else all. */
function prefixesOf(keys: readonly string[]): readonly string[] {
  // The whole ARN has six characters more than the name, and which ones is not to be seen.
  const names = keys.map((key) => key.replace(/^arn:.*?:secret:(.*?)(-[A-Za-z0-9]{6})?$/, '$1'));
  if (names.length <= MAX_PREFIXES) return names;
  const folders = new Set(names.map((name) => /^\/?[^/]*\//.exec(name)?.[0] ?? name));
  return folders.size <= MAX_PREFIXES ? [...folders] : [];
}

/** A hint that cannot be had is none; an interrupted call is no answer. */
async function orUndefined<T>(work: Promise<T>, onDenied?: () => void): Promise<T | undefined> {
  try {
    return await asStoreError(work);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code === 'ACCESS_DENIED') onDenied?.();
    return undefined;
  }
}

function isKey(key: string, region: string): boolean {
  try {
    checkKey(key, region);
    return true;
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}
