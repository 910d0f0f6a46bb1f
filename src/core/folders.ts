import { mkdir, open, readdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf } from './system-errors.ts';

/** Returns the names in a folder, or none if the folder does not exist. @throws Errors of Node */
export async function namesIn(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** @throws Errors of Node */
export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Returns the path itself if it exists, otherwise its closest existing ancestor. */
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
 * Creates a folder and its missing parents, accessible only to their owner. Their directory entries are durable when
 * the promise resolves. Does not use `recursive`, which never returns where the system reports ENOENT below an existing
 * folder (/proc).
 * @throws Errors of Node
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

/** Syncs a folder, because a new file name is durable only after its folder is synced. @throws Errors of Node */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}
