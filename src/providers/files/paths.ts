import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { codeOf } from '../../core/system-errors.ts';
import { changed, fromFileSystem, unavailable } from './errors.ts';

/**
 * Splits a key into its segments.
 * @throws AppError CONFIG_INVALID if it is not a plain relative path.
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
 * The resolved path of the folder. A missing folder is a volume that is not mounted, not an empty store.
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
 * The resolved path of a key, behind symbolic links (mounted volumes use them). Undefined if it is absent.
 * @param root The result of `realRoot` for `path`.
 * @throws AppError ACCESS_DENIED if it leads out of the folder; STORE_UNAVAILABLE during an update.
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

/** Whether a path still resolves to the same path. `undefined` means that it does not exist. */
export async function stillResolvesTo(expectedPath: string | undefined, path: string): Promise<boolean> {
  try {
    return (await realpath(path)) === expectedPath;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return expectedPath === undefined && codeOf(error) === 'ENOENT';
  }
}

export function assertInside(root: string, real: string): string {
  if (real === root || real.startsWith(root.endsWith(sep) ? root : root + sep)) return real;
  throw new AppError('ACCESS_DENIED', { detail: 'a symbolic link leads out of the folder' });
}

/**
 * Proves that a key is absent. ENOENT alone is not enough: a dangling link gives it too, and so does a volume during an
 * update. The key must be missing from the list of its deepest existing folder. That folder must still be in use after
 * the list, because a volume update empties the replaced folder.
 * @throws AppError if the lists do not prove it.
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
