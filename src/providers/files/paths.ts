import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { codeOf } from '../../core/system-errors.ts';
import { changed, fromFileSystem, unavailable } from './errors.ts';

/**
 * The segments of a key.
 * @throws AppError CONFIG_INVALID for what is not a plain relative path.
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
 * The folder itself, behind its symbolic links. One that is missing is a volume that is not mounted, not an empty
 * store.
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
 * Where a key leads, behind symbolic links (mounted volumes are made of them); undefined when it is absent.
 * @param root What `realRoot` gave for `path`.
 * @throws AppError ACCESS_DENIED when it leads out of the folder; STORE_UNAVAILABLE in the moment of an update.
 */
export async function locate(
  path: string,
  root: string,
  segments: readonly string[],
): Promise<string | undefined> {
  try {
    return inside(root, await realpath(join(root, ...segments)));
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (codeOf(error) !== 'ENOENT') throw fromFileSystem(error);
    await proveAbsence(path, root, segments);
    return undefined;
  }
}

/** Whether a path still leads to where it did; `undefined` stands for nowhere. */
export async function stillLeadsTo(place: string | undefined, path: string): Promise<boolean> {
  try {
    return (await realpath(path)) === place;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return place === undefined && codeOf(error) === 'ENOENT';
  }
}

export function inside(root: string, real: string): string {
  if (real === root || real.startsWith(root.endsWith(sep) ? root : root + sep)) return real;
  throw new AppError('ACCESS_DENIED', { detail: 'a symbolic link that leads out of the folder' });
}

/**
 * "No such file" alone proves nothing: it is also what a dangling link gives, and a volume in the moment of its
 * update. Absent is what the list of its folder, or of the last folder on its way that exists, does not have; and
 * that folder must be the one in use after it was listed, since a volume empties the folder that it has replaced.
 * @throws AppError when the lists do not prove it.
 */
async function proveAbsence(path: string, root: string, segments: readonly string[]): Promise<void> {
  let folder = root;
  for (const [index, segment] of segments.entries()) {
    try {
      if (!(await readdir(folder)).includes(segment)) {
        if (await stillLeadsTo(folder, join(path, ...segments.slice(0, index)))) return;
        throw changed();
      }
      folder = inside(root, await realpath(join(folder, segment)));
    } catch (error) {
      if (error instanceof AppError) throw error;
      if (codeOf(error) === 'ENOENT') break;
      throw fromFileSystem(error);
    }
  }
  throw unavailable('its folder lists it, but it leads nowhere');
}
