import { AppError } from '../../core/errors.ts';
import { asStoreError } from '../aws/session.ts';
import type { VersionResult } from '../provider.ts';
import { BATCH_SIZE } from './batch.ts';
import { checkKey, findEntry, MAX_DESCRIBED } from './keys.ts';
import { listPages } from './list.ts';
import type { Store } from './read.ts';
import { type CurrentVersion, currentOf, describe, expiryIn } from './single.ts';

/** The maximum number of values in an AWS filter. */
const MAX_PREFIXES = 10;

const UNKNOWN: VersionResult = { kind: 'unknown' };

/**
 * Returns the current version IDs without reading the values, if this needs no more requests than reading. Stops a list
 * that would need more requests than reading. The versions of the remaining keys are then unknown, and the next check
 * does not use the list.
 */
export async function reportVersions(
  store: Store,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<readonly VersionResult[]> {
  const uniqueKeys = [...new Set(keys)].filter((key) => isKey(key, store.config.region));
  const versions = await findVersions(store, uniqueKeys, signal);
  return keys.map((key) => {
    const current = versions.get(key);
    return current === undefined ? UNKNOWN : { kind: 'known', ...current };
  });
}

type KnownVersions = ReadonlyMap<string, CurrentVersion | undefined>;

const NO_VERSIONS: KnownVersions = new Map();

async function findVersions(
  store: Store,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<KnownVersions> {
  const { lists, config } = store;
  const prefixes = prefixesOf(keys);
  const isFew = keys.length <= MAX_DESCRIBED;
  const name = JSON.stringify(isFew ? [keys] : [keys.length, prefixes]);
  const reads = callsToRead(store, keys);
  // If there are only a few keys, each of them is described, even if one batch request could read them all.
  // Descriptions expose no values and need no decryption.
  const most = isFew ? keys.length : reads;
  // A list may be up to five minutes out of date, so it is not used with the freshness `strict`.
  if (config.freshness !== 'strict' && keys.length > 0 && lists.isWorthListing(name, most))
    return isFew
      ? describeEach(store, keys, { groupId: name, signal })
      : listVersions(store, keys, { groupId: name, prefixes, maxRequests: most, signal });
  const strategy = store.batch.isUsable ? 'batch' : 'read';
  if (keys.length > 0) store.deps.onStrategy?.({ way: strategy, keys: keys.length, calls: reads });
  return NO_VERSIONS;
}

function callsToRead({ batch }: Store, keys: readonly string[]): number {
  if (!batch.isUsable) return keys.length;
  const alone = keys.filter((key) => batch.isReadSingly(key)).length;
  return Math.ceil((keys.length - alone) / BATCH_SIZE) + alone;
}

async function describeEach(
  store: Store,
  keys: readonly string[],
  { groupId, signal }: Pick<ListOptions, 'groupId' | 'signal'>,
): Promise<KnownVersions> {
  const pairs = keys.map(async (key) => {
    const description = await orUndefined(describe(store.session, key, signal));
    const current = description?.isDeleted === false ? description.current : undefined;
    return [key, current && { ...current, ...expiryIn(description?.tags, store.config) }] as const;
  });
  const versions = new Map(await Promise.all(pairs));
  // Count a read for each key without a usable description, because every check must read such a key.
  const calls = keys.length + callsToRead(store, unknownIn(versions));
  store.lists.record(groupId, calls);
  store.deps.onStrategy?.({ way: 'describe', keys: keys.length, calls });
  return versions;
}

function unknownIn(versions: KnownVersions): readonly string[] {
  return [...versions].flatMap(([key, version]) => (version === undefined ? [key] : []));
}

interface ListOptions {
  /** The id under which the cost of the check is recorded. */
  readonly groupId: string;
  readonly prefixes: readonly string[];
  /** The number of requests that reading all keys would need. */
  readonly maxRequests: number;
  readonly signal: AbortSignal | undefined;
}

/** The members of a list entry that are needed here. */
interface ListedSecret {
  readonly Name: string;
  readonly ARN: string;
  readonly current: CurrentVersion | undefined;
}

/**
 * Returns the part of an ARN after `secret:`. If the ARN lacks the six characters that AWS appends, this part is the
 * name.
 */
function nameIn(key: string): string {
  return key.replace(/^arn:.*?:secret:/, '');
}

async function listVersions(
  store: Store,
  keys: readonly string[],
  { groupId, prefixes, maxRequests, signal }: ListOptions,
): Promise<KnownVersions> {
  const arns = keys.filter((key) => key.startsWith('arn:'));
  const [isWanted, isNamed] = [new Set(keys), new Set(arns.map(nameIn))];
  const missing = new Set(keys);
  const versions = new Map<string, CurrentVersion | undefined>();
  /** The entries that a key with an ARN may mean. All other entries are not kept, because there may be tens of thousands. */
  const entries: ListedSecret[] = [];
  let page = 0;
  const collect = async (): Promise<'whole' | 'left'> => {
    for await (const list of listPages(store.session, prefixes, signal)) {
      for (const entry of list) {
        const { Name = '', ARN = '' } = entry;
        const mayBeArn = isNamed.has(Name) || isWanted.has(ARN);
        if (!mayBeArn && !isWanted.has(Name)) continue;
        const found = currentOf(entry.SecretVersionsToStages, entry);
        const current = found && { ...found, ...expiryIn(entry.Tags, store.config) };
        if (isWanted.has(Name) && !versions.has(Name)) versions.set(Name, current);
        if (mayBeArn) entries.push({ Name, ARN, current });
      }
      page += 1;
      // End the search only at an entry whose full name or ARN equals the key. A key may be an ARN without the six
      // characters that AWS appends, and a later entry may match it better.
      for (const { Name: found = '', ARN: arn = '' } of list) {
        missing.delete(found);
        missing.delete(arn);
      }
      if (missing.size === 0) return 'whole';
      if (page >= maxRequests) return 'left';
    }
    return 'whole';
  };
  const progress = await orUndefined(collect(), () => store.lists.recordDenied());
  const byName = Map.groupBy(entries, ({ Name }) => Name);
  const byArn = new Map(entries.map((entry) => [entry.ARN, entry]));
  for (const key of arns) {
    const entry = byArn.get(key) ?? findEntry(key, byName.get(nameIn(key)) ?? []);
    versions.set(key, entry?.current);
  }
  if (progress === undefined) return versions;
  const unknown = keys.filter((key) => versions.get(key) === undefined);
  // If a list was stopped early, it has at least one more page, so count one more request.
  const calls = page + callsToRead(store, unknown) + (progress === 'left' && unknown.length > 0 ? 1 : 0);
  store.lists.record(groupId, calls);
  store.deps.onStrategy?.({ way: 'list', keys: keys.length, calls });
  return versions;
}

/**
 * Returns prefixes for a filter. The prefixes match all keys and few other secrets. If a filter can hold the full names
 * of all keys, the prefixes are these names. Otherwise, the prefixes are the texts up to the first `/`. If there are
 * too many of these texts, there is no filter.
 */
function prefixesOf(keys: readonly string[]): readonly string[] {
  // AWS appends six characters to the name in an ARN. They are removed even if they belong to the name, because a
  // shorter prefix only matches more names.
  const names = keys.map((key) => key.replace(/^arn:.*?:secret:(.*?)(-[A-Za-z0-9]{6})?$/, '$1'));
  if (names.length <= MAX_PREFIXES) return names;
  const folders = new Set(names.map((name) => /^\/?[^/]*\//.exec(name)?.[0] ?? name));
  return folders.size <= MAX_PREFIXES ? [...folders] : [];
}

/** Returns undefined if the request failed with an AppError. Rethrows other errors, such as an abort. */
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
