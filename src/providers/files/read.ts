import { constants } from 'node:fs';
import { type FileHandle, open, readlink, stat } from 'node:fs/promises';
import { AppError } from '../../core/errors.ts';
import { codeOf } from '../../core/system-errors.ts';
import { changed, fromFileSystem } from './errors.ts';
import { inside, locate, realRoot, segmentsOf, stillLeadsTo } from './paths.ts';

const MAX_BYTES = 16 * 1024 * 1024;
// O_NOFOLLOW: the path has been resolved, so a link at its end was put there since. O_NONBLOCK: a FIFO never hangs.
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface FileContent {
  /** Where the key led, behind its links. */
  readonly place: string;
  readonly bytes: Buffer;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
}

/**
 * The bytes of a file below `path`; undefined when it is absent.
 * @throws AppError
 */
export async function readBelow(path: string, key: string): Promise<FileContent | undefined> {
  const segments = segmentsOf(key);
  const root = await realRoot(path);
  const real = await locate(path, root, segments);
  if (real === undefined) return undefined;
  try {
    // Opening a device can have effects, so the kind of file is looked at first.
    if (!(await stat(real)).isFile()) throw notAFile();
    await using file = await open(real, FLAGS);
    await checkPlace(path, root, file);
    return { place: real, ...(await content(file)) };
  } catch (error) {
    if (error instanceof AppError) throw error;
    // Removed between the look and the opening: the next read tells which it is.
    if (codeOf(error) === 'ENOENT') throw changed();
    throw fromFileSystem(error);
  }
}

/** A folder on the way may have become a link that leads elsewhere; Linux tells what was opened in the end. */
async function checkPlace(path: string, root: string, file: FileHandle): Promise<void> {
  if (process.platform !== 'linux') return;
  const place = await readlink(`/proc/self/fd/${file.fd}`);
  if (!(await stillLeadsTo(root, path))) throw changed(); // then `place` may have moved with it
  inside(root, place);
}

async function content(file: FileHandle): Promise<Omit<FileContent, 'place'>> {
  const before = await file.stat();
  if (!before.isFile()) throw notAFile();
  if (before.size > MAX_BYTES) throw tooLarge();
  const bytes = await file.readFile();
  if (bytes.byteLength > MAX_BYTES) throw tooLarge();
  const after = await file.stat();
  // Half of a value that is being written must not become a Secret.
  if (after.mtimeMs !== before.mtimeMs || after.size !== bytes.byteLength) throw changed();
  return { bytes, modifiedAt: Math.floor(after.mtimeMs) };
}

function notAFile(): AppError {
  return new AppError('CONFIG_INVALID', { detail: 'it is a folder or a special file: `key` names a file' });
}

function tooLarge(): AppError {
  return new AppError('TOO_LARGE', { detail: 'a file of more than 16 MiB' });
}
