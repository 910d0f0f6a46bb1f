import { AppError } from '../../core/errors.ts';
import { member, textOf } from '../../core/json.ts';
import { compareText } from '../../core/target.ts';
import { badAnswer } from '../answer.ts';
import type { FindQuery } from '../provider.ts';
import { checkKeyCount, tooManyResults } from '../results.ts';
import { parseAnswer } from './answer.ts';
import { fromStatus } from './errors.ts';
import { isBare404 } from './mount.ts';
import { encodePath } from './paths.ts';
import { readMetadata, type Store } from './read.ts';

const MAX_FOLDERS = 10_000;
/** The maximum number of characters of a key. */
const MAX_PATH = 4_096;

/**
 * Finds the keys below `path` with LIST, folder by folder.
 * @throws AppError if any part of the search fails, because keys that are missing from a partial result would look
 * deleted.
 */
export async function findKeys(
  store: Store,
  query: FindQuery,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const tags = Object.entries(query.tags);
  if (tags.length > 0 && store.config.kvVersion === 1) {
    throw new AppError('CONFIG_INVALID', { detail: 'key/value version 1 has no tags' });
  }
  // The first failure aborts all other requests of the same search.
  const abortController = new AbortController();
  const combinedSignal =
    signal === undefined ? abortController.signal : AbortSignal.any([signal, abortController.signal]);
  try {
    const keys = await walk(store, query.path.replace(/\/+$/, ''), combinedSignal);
    if (tags.length === 0) return keys;
    const matches = await Promise.all(keys.map((key) => hasTags(store, key, tags, combinedSignal)));
    return keys.filter((_, index) => matches[index]);
  } catch (error) {
    abortController.abort(error);
    throw error;
  }
}

async function walk(store: Store, start: string, signal: AbortSignal | undefined): Promise<string[]> {
  const keys: string[] = [];
  let folders = [start];
  let visited = 0;
  while (folders.length > 0) {
    visited += folders.length;
    const next: string[] = [];
    await Promise.all(
      folders.map(async (folder) => {
        for (const name of await list(store, folder, signal)) {
          const path = folder === '' ? name : `${folder}/${name}`;
          if (path.length > MAX_PATH) throw badAnswer('a list with a path that is too long');
          if (name.endsWith('/')) next.push(path.slice(0, -1));
          else keys.push(path);
        }
        // Count after each answer. A hostile store could otherwise fill the memory with the answers for one level.
        checkKeyCount(keys.length);
        checkFolderCount(visited + next.length);
      }),
    );
    folders = next;
  }
  return keys.sort(compareText);
}

function checkFolderCount(count: number): void {
  if (count > MAX_FOLDERS) throw tooManyResults(`more than ${MAX_FOLDERS} folders`);
}

/** Lists a folder. Sends GET with `?list=true` instead of LIST, because some proxies do not support the LIST method. */
async function list(
  store: Store,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const { mount, kvVersion } = store.config;
  const parts = [mount, ...(kvVersion === 2 ? ['metadata'] : []), ...(folder === '' ? [] : [folder])];
  const path = `${encodePath(...parts)}/?list=true`;
  const answer = await store.session.call('list', (vault, options) => vault.read(path, options), signal);
  if (isBare404(answer)) {
    await store.confirmMount(signal);
    return [];
  }
  if (answer.status !== 200) throw fromStatus(answer);
  const keys = member(parseAnswer(answer), 'data', 'keys');
  if (keys?.kind !== 'array') throw badAnswer('a list without its keys');
  return keys.items.map((item) => {
    const name = textOf(item);
    if (name === undefined || name === '' || name === '/') throw badAnswer('a list with an invalid key');
    return name;
  });
}

/**
 * Whether a key has all tags. The tags of a key are its `custom_metadata`. If a key was deleted after it was listed, it
 * has no tags.
 */
async function hasTags(
  store: Store,
  key: string,
  tags: readonly (readonly [string, string])[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const metadata = await readMetadata(store, key, signal);
  if (metadata === undefined) return false;
  const custom = member(metadata, 'custom_metadata');
  return tags.every(([name, value]) => textOf(member(custom, name)) === value);
}
