import { readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { codeOf } from '../../core/system-errors.ts';
import { changed, fromFileSystem, unavailable } from './errors.ts';

/**
 * Splits a key into its segments.
 * @throws AppError CONFIG_INVALID if the key is not a plain relative path.
 */
export function segmentsOf(key: string): readonly string[] {
  const segments = key.split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw invalid('a key is a relative path without empty, `.` and `..` segments');
  }
  if (!key.isWellFormed() || /[\u0000-\u001f\u007f]/.test(key)) {
    throw invalid('a key must be well-formed Unicode without control characters');
  }
  return segments;
}

function invalid(detail: string): AppError {
  return new AppError('CONFIG_INVALID', { detail });
}

/**
 * Returns the resolved path of the store's folder. A missing folder is an error and not an empty store, because its
 * volume might not be mounted.
 * @throws AppError STORE_UNAVAILABLE, ACCESS_DENIED
 */
export async function realRoot(path: string): Promise<string> {
  try {
    const root = await realpath(path);
    if ((await stat(root)).isDirectory()) return root;
    throw unavailable('its `path` is not a folder');
  } catch (error) {
    if (error instanceof AppError) throw error;
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw unavailable('its folder does not exist');
    }
    throw fromFileSystem(error);
  }
}

/**
 * Returns the path of a key with all symbolic links resolved, because mounted volumes use links. Returns undefined if
 * the key is absent.
 * @param root The resolved path of the store's folder.
 * @throws AppError ACCESS_DENIED if a link leads out of the folder; STORE_UNAVAILABLE during an update of the volume.
 */
export async function locate(
  path: string,
  root: string,
  segments: readonly string[],
): Promise<string | undefined> {
  try {
    return assertInside(root, await realpath(join(root, ...segments)));
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (codeOf(error) !== 'ENOENT') throw fromFileSystem(error);
    await proveAbsence(path, root, segments);
    return undefined;
  }
}

/**
 * Whether a path still resolves to `expectedPath`. If `expectedPath` is undefined: whether the path still does not
 * exist.
 */
export async function stillResolvesTo(expectedPath: string | undefined, path: string): Promise<boolean> {
  try {
    return (await realpath(path)) === expectedPath;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return expectedPath === undefined && codeOf(error) === 'ENOENT';
  }
}

/**
 * Returns the key of a resolved path. A mounted volume keeps its files in a folder such as `..2026_01_02`, to which the
 * link `..data` leads. Such a folder is not part of the key.
 */
export async function keyOf(root: string, real: string): Promise<string> {
  const key: string[] = [];
  let folder = root;
  for (const segment of relative(root, real).split(sep)) {
    const at = join(folder, segment);
    if (!(segment.startsWith('..') && (await stillResolvesTo(at, join(folder, '..data'))))) key.push(segment);
    folder = at;
  }
  return key.join('/');
}

/**
 * Returns the key to which the links in a path lead, even if there is no file. Returns undefined if the links cannot be
 * followed.
 */
export async function resolveKey(path: string, key: string): Promise<string | undefined> {
  try {
    const root = await realRoot(path);
    const segments = segmentsOf(key);
    for (let length = segments.length; length >= 0; length -= 1) {
      const real = await realOrMissing(join(root, ...segments.slice(0, length)));
      if (real === undefined) continue;
      const folder = await keyOf(root, assertInside(root, real));
      return [...(folder === '' ? [] : [folder]), ...segments.slice(length)].join('/');
    }
  } catch (error) {
    if (!(error instanceof AppError) && codeOf(error) === undefined) throw error;
  }
  return undefined;
}

async function realOrMissing(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

export function assertInside(root: string, real: string): string {
  if (real === root || real.startsWith(root.endsWith(sep) ? root : root + sep)) return real;
  throw new AppError('ACCESS_DENIED', { detail: 'a symbolic link leads out of the folder' });
}

/**
 * Proves that a key is absent. The error ENOENT is no proof, because dangling links and volume updates cause it too.
 * The deepest existing folder on the path of the key must not contain the next part of this path. After the folder was
 * listed, it must still be in use, because a volume update empties the folder that it replaces.
 * @throws AppError if absence cannot be proved.
 */
async function proveAbsence(path: string, root: string, segments: readonly string[]): Promise<void> {
  let folder = root;
  for (const [index, segment] of segments.entries()) {
    try {
      if (!(await readdir(folder)).includes(segment)) {
        if (await stillResolvesTo(folder, join(path, ...segments.slice(0, index)))) return;
        throw changed();
      }
      folder = assertInside(root, await realpath(join(folder, segment)));
    } catch (error) {
      if (error instanceof AppError) throw error;
      if (codeOf(error) === 'ENOENT') break;
      throw fromFileSystem(error);
    }
  }
  throw unavailable('its folder lists it, but it cannot be resolved');
}
