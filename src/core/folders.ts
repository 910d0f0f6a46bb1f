import { mkdir, open, readdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf } from './system-errors.ts';

/** The names in a folder; none if there is no such folder. @throws What Node throws. */
export async function namesIn(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** @throws What Node throws. */
export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** The path itself, or the closest one above it that exists. */
export async function nearestFolder(path: string): Promise<string> {
  try {
    await stat(path);
    return path;
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
    return nearestFolder(dirname(path));
  }
}

/**
 * Makes a folder, and those above it, for their owner only; their names are on the disk when it resolves. Not by
 * `recursive`: that never returns where the system says ENOENT below a folder that exists (/proc).
 * @throws What Node throws.
 */
export async function makeFolder(path: string): Promise<void> {
  if (await isFolder(path)) return;
  const above = dirname(path);
  await makeFolder(above);
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) === 'EEXIST' && (await isFolder(path))) return;
    throw error;
  }
  await syncFolder(above);
}

/** A new name is only as durable as the folder that it is in. @throws What Node throws. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}
