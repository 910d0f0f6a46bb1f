import { createHash } from 'node:crypto';
import { chmod, lstat, lutimes, readdir, readFile, rmdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';

export interface FileSet {
  readonly files: number;
  readonly bytes: number;
  /** A hash of path, mode and content of all files. Equal sets have equal hashes. */
  readonly digest: string;
  /** The size in bytes of each folder below `/app`, the largest first. */
  readonly parts: readonly { readonly name: string; readonly bytes: number }[];
}

/**
 * Sets fixed modes and times, so that the result is the same on every machine. Removes empty folders. Returns the hash
 * and sizes of the files.
 */
export async function settle(root: string, time: Date): Promise<FileSet> {
  const hash = createHash('sha256');
  const parts = new Map<string, number>();
  let files = 0;
  let bytes = 0;
  for (const path of (await readdir(root, { recursive: true })).toSorted()) {
    const full = join(root, path);
    const stats = await lstat(full);
    if (stats.isSymbolicLink()) {
      await lutimes(full, time, time);
      hash.update(`${path}\0link\n`);
      continue;
    }
    const isProgram = path === join('app', 'bin', 'secretbridge.js');
    const mode = stats.isDirectory() || isProgram ? 0o755 : 0o644;
    await chmod(full, mode);
    if (stats.isDirectory()) continue;
    await utimes(full, time, time);
    hash.update(`${path}\0${mode.toString(8)}\0${stats.size}\n`).update(await readFile(full));
    files += 1;
    bytes += stats.size;
    const part = path.split('/').slice(1, 2).join('/');
    parts.set(part, (parts.get(part) ?? 0) + stats.size);
  }
  // Set the times of folders last, because each new file changes the time of its folder. Set the time of an inner
  // folder before the time of its parent.
  for (const path of (await readdir(root, { recursive: true })).toSorted().toReversed()) {
    const full = join(root, path);
    if (!(await lstat(full)).isDirectory()) continue;
    if ((await readdir(full)).length === 0) await rmdir(full);
    else await utimes(full, time, time);
  }
  await chmod(root, 0o755);
  await utimes(root, time, time);
  const sorted = [...parts].map(([name, size]) => ({ name, bytes: size }));
  return { files, bytes, digest: hash.digest('hex'), parts: sorted.toSorted((a, b) => b.bytes - a.bytes) };
}
