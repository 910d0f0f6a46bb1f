import { mkdir, open, readdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf } from './system-errors.ts';

/** The names in a folder, or none if the folder does not exist. @throws What Node throws. */
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

/** The path itself, or its closest existing ancestor. */
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
 * Creates a folder and its missing parents, accessible to their owner only. Their names are on disk when it resolves.
 * It does not use `recursive`, which never returns where the system reports ENOENT below an existing folder (/proc).
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

/** Syncs a folder: a new name is only durable once its folder is synced. @throws What Node throws. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}
