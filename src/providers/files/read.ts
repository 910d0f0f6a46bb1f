import { constants } from 'node:fs';
import { type FileHandle, open, readlink, stat } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { codeOf } from '../../core/system-errors.ts';
import { changed, fromFileSystem } from './errors.ts';
import { assertInside, keyOf, locate, realRoot, segmentsOf, stillResolvesTo } from './paths.ts';

const MAX_BYTES = 16 * 1024 * 1024;
// The path is already resolved, so a link at its end was added after that. O_NOFOLLOW refuses such a link. O_NONBLOCK
// opens a FIFO without waiting.
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface FileContent {
  /** The resolved path of the key. */
  readonly realPath: string;
  /** The key of the resolved path. */
  readonly key: string;
  readonly bytes: Buffer;
  /** In milliseconds since 1970. */
  readonly modifiedAt: number;
}

/**
 * Reads the bytes of a file below `path`. Returns undefined if the file is absent.
 * @throws AppError
 */
export async function readBelow(path: string, key: string): Promise<FileContent | undefined> {
  const segments = segmentsOf(key);
  const root = await realRoot(path);
  const real = await locate(path, root, segments);
  if (real === undefined) return undefined;
  try {
    // Check the type of the file first, because opening a device can have side effects.
    if (!(await stat(real)).isFile()) throw notAFile();
    await using file = await open(real, FLAGS);
    await checkOpenedPath(path, root, file);
    const resolved = relative(root, real) === segments.join(sep) ? key : await keyOf(root, real);
    return { realPath: real, key: resolved, ...(await content(file)) };
  } catch (error) {
    if (error instanceof AppError) throw error;
    // The file was removed after the check, and may already be replaced. The next attempt looks for a new file.
    if (codeOf(error) === 'ENOENT') throw changed();
    throw fromFileSystem(error);
  }
}

/**
 * Checks the path of the file that was really opened. Linux reports this path. A folder in the path may have become a
 * link after the path was resolved.
 */
async function checkOpenedPath(path: string, root: string, file: FileHandle): Promise<void> {
  if (process.platform !== 'linux') return;
  const openedPath = await readlink(`/proc/self/fd/${file.fd}`);
  if (!(await stillResolvesTo(root, path))) throw changed(); // if the store's folder was moved, `openedPath` may have moved with it
  assertInside(root, openedPath);
}

async function content(file: FileHandle): Promise<Omit<FileContent, 'realPath' | 'key'>> {
  const before = await file.stat();
  if (!before.isFile()) throw notAFile();
  if (before.size > MAX_BYTES) throw tooLarge();
  const bytes = await file.readFile();
  if (bytes.byteLength > MAX_BYTES) throw tooLarge();
  const after = await file.stat();
  // The file was written during the read, so the value may be incomplete and must not become a Secret.
  if (after.mtimeMs !== before.mtimeMs || after.size !== bytes.byteLength) throw changed();
  return { bytes, modifiedAt: Math.floor(after.mtimeMs) };
}

function notAFile(): AppError {
  return new AppError('CONFIG_INVALID', {
    detail: 'it is a folder or a special file, but `key` must name a file',
  });
}

function tooLarge(): AppError {
  return new AppError('TOO_LARGE', { detail: 'a file larger than 16 MiB' });
}
