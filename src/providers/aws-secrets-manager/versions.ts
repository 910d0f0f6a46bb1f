import type { SecretListEntry } from '@aws-sdk/client-secrets-manager';
import { AppError } from '../../core/errors.ts';
import type { VersionResult } from '../provider.ts';
import { BATCH_SIZE } from './batch.ts';
import { checkKey, pick } from './keys.ts';
import { listPages } from './list.ts';
import type { Store } from './read.ts';
import { asStoreError } from './session.ts';
import { currentOf, describe } from './single.ts';

/** For so few keys their descriptions cost no more than a page of the list. */
const FEW = 2;
/** The most values that one filter takes. */
const MAX_PREFIXES = 10;

const UNKNOWN: VersionResult = { kind: 'unknown' };

/**
 * The current version ids without the values. Costs no more calls than reading in batches would: a list that is
 * longer than that is left, and what it has not told is unknown.
 */
export async function tellVersions(
  store: Store,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<readonly VersionResult[]> {
  // The list may be five minutes late, which `strict` does not accept.
  if (store.config.freshness === 'strict') return keys.map(() => UNKNOWN);
  const wanted = [...new Set(keys)].filter((key) => isKey(key, store.config.region));
  const known =
    wanted.length <= FEW ? await describeEach(store, wanted, signal) : await listed(store, wanted, signal);
  return keys.map((key) => {
    const version = known.get(key);
    return version === undefined ? UNKNOWN : { kind: 'known', version };
  });
}

type Known = ReadonlyMap<string, string | undefined>;

async function describeEach(
  { session }: Store,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Known> {
  const pairs = keys.map(async (key) => {
    const description = await orUndefined(describe(session, key, signal));
    return [key, description?.isDeleted === false ? description.current : undefined] as const;
  });
  return new Map(await Promise.all(pairs));
}

async function listed(
  { session }: Store,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Known> {
  const entries: SecretListEntry[] = [];
  const pages = Math.ceil(keys.length / BATCH_SIZE);
  const collect = async () => {
    let page = 0;
    for await (const list of listPages(session, prefixesOf(keys), signal)) {
      entries.push(...list);
      page += 1;
      if (page >= pages) return;
    }
  };
  await orUndefined(collect());
  const byName = Map.groupBy(entries, ({ Name: name = '' }) => name);
  const byArn = new Map(entries.map((entry) => [entry.ARN, entry]));
  return new Map(
    keys.map((key) => {
      const entry = byArn.get(key) ?? pick(key, byName.get(key.replace(/^arn:.*?:secret:/, '')) ?? []);
      return [key, currentOf(entry?.SecretVersionsToStages)];
    }),
  );
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
async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await asStoreError(work);
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
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
