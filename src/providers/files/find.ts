import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { compareText } from '../../core/target.ts';
import type { FindQuery } from '../provider.ts';
import { checkKeyCount } from '../results.ts';
import { changed, fromFileSystem, retryDuringUpdate } from './errors.ts';
import { assertInside, locate, realRoot, segmentsOf, stillResolvesTo } from './paths.ts';

/**
 * Finds the keys below `path`. A key is a regular file, or a link to a regular file inside the store's folder. Omits
 * names that start with a dot, such as the `..data` of mounted volumes.
 * @throws AppError if any part of the search fails, because keys that are missing from a partial result would look
 * deleted.
 */
export async function findBelow(
  path: string,
  query: FindQuery,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  if (Object.keys(query.tags).length > 0)
    throw new AppError('CONFIG_INVALID', { detail: 'files have no tags' });
  return retryDuringUpdate(() => findOnce(path, query, signal));
}

async function findOnce(path: string, query: FindQuery, signal: AbortSignal | undefined): Promise<string[]> {
  const prefix = query.path.replace(/\/+$/, '');
  const root = await realRoot(path);
  const start = prefix === '' ? root : await locate(path, root, segmentsOf(prefix));
  const keys: string[] = [];
  const visited = new Map<string, string>();
  if (start === undefined) return keys;
  try {
    if ((await stat(start)).isDirectory())
      await walk({ root, keys, visited, signal }, start, prefix, new Set([start]));
    // A volume update replaces a folder and empties the old one. Check that no folder was replaced during the search.
    for (const [folder, realPath] of visited)
      if (!(await stillResolvesTo(realPath, join(path, folder)))) throw changed();
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof AppError ? error : fromFileSystem(error);
  }
  return keys.sort(compareText);
}

interface Walk {
  readonly root: string;
  readonly keys: string[];
  /** The visited folders, each with its resolved path. */
  readonly visited: Map<string, string>;
  readonly signal: AbortSignal | undefined;
}

/** @param above The parent folders. A link to one of them forms a loop. */
async function walk(state: Walk, folder: string, prefix: string, above: ReadonlySet<string>): Promise<void> {
  state.signal?.throwIfAborted();
  state.visited.set(prefix, folder);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const key = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
    const { path, kind } = await resolve(state.root, folder, entry);
    if (kind === 'file') state.keys.push(key);
    if (kind === 'folder' && !above.has(path)) await walk(state, path, key, new Set([...above, path]));
    checkKeyCount(state.keys.length);
  }
}

async function resolve(root: string, folder: string, entry: Dirent) {
  const path = join(folder, entry.name);
  if (entry.isFile()) return { path, kind: 'file' };
  if (entry.isDirectory()) return { path, kind: 'folder' };
  if (!entry.isSymbolicLink()) return { path, kind: 'other' };
  const real = assertInside(root, await realpath(path));
  const target = await stat(real);
  return { path: real, kind: target.isFile() ? 'file' : target.isDirectory() ? 'folder' : 'other' };
}
