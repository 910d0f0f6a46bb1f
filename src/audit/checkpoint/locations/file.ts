import { constants } from 'node:fs';
import { access, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder, nearestFolder, syncFolder } from '../../../core/folders.ts';
import { systemCode, withFileErrors } from '../../errors.ts';
import type { CheckpointLocation } from '../checkpoint.ts';
import { checkpointLine, parseCheckpoints } from '../lines.ts';

const REMEDY =
  'Check that the file in `audit.checkpoints` can be read and written, and that its disk is not full.';

/** Appends one line for each checkpoint and syncs the file. Several processes may append to the same file. */
export function fileLocation(path: string): CheckpointLocation {
  const name = `file ${path}`;
  const withErrors = <T>(work: () => Promise<T>) =>
    withFileErrors({ what: 'the checkpoints', about: name, todo: REMEDY }, work);
  return {
    name,
    write: (checkpoint) => withErrors(() => append(path, `${checkpointLine(checkpoint)}\n`)),
    checkWritable: () => withErrors(() => checkWritable(path)),
    read: () => withErrors(() => read(path)),
  };
}

async function append(path: string, line: string): Promise<void> {
  const folder = dirname(path);
  await makeFolder(folder);
  await using file = await open(path, 'a+', 0o600);
  const { size } = await file.stat();
  // A crash may have cut off the last line. A leading newline then separates the new line from it.
  const isTorn = size > 0 && !(await endsWithNewline(file, size));
  // One write call, so that lines of two processes do not interleave.
  await file.appendFile(isTorn ? `\n${line}` : line);
  await file.sync();
  if (size === 0) await syncFolder(folder);
}

/** Opens the file without creating it. If the file is missing, checks that its closest existing folder is writable. */
async function checkWritable(path: string): Promise<void> {
  try {
    await using _ = await open(path, constants.O_RDWR | constants.O_APPEND);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    await access(await nearestFolder(dirname(path)), constants.W_OK | constants.X_OK);
  }
}

async function endsWithNewline(file: Awaited<ReturnType<typeof open>>, size: number): Promise<boolean> {
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] === 0x0a;
}

async function read(path: string) {
  try {
    return parseCheckpoints(await readFile(path, 'utf8'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}
