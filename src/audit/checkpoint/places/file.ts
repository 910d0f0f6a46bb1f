import { constants } from 'node:fs';
import { access, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder, nearestFolder, syncFolder } from '../../../core/folders.ts';
import { onDisk, systemCode } from '../../failures.ts';
import type { CheckpointPlace } from '../checkpoint.ts';
import { checkpointsIn, lineOf } from '../lines.ts';

const WHAT_TO_DO =
  'Check that the place in `audit.checkpoints` can be read and written, and that its disk is not full.';

/** Adds a line for each checkpoint, and waits for the disk. Several processes may add to one file. */
export function filePlace(path: string): CheckpointPlace {
  const name = `file ${path}`;
  const translated = <T>(work: () => Promise<T>) =>
    onDisk({ what: 'the checkpoints', about: name, todo: WHAT_TO_DO }, work);
  return {
    name,
    write: (checkpoint) => translated(() => append(path, `${lineOf(checkpoint)}\n`)),
    rehearse: () => translated(() => rehearse(path)),
    read: () => translated(() => read(path)),
  };
}

async function append(path: string, line: string): Promise<void> {
  const folder = dirname(path);
  await makeFolder(folder);
  await using file = await open(path, 'a+', 0o600);
  const { size } = await file.stat();
  // What a crash tore must not spoil the next one.
  const torn = size > 0 && !(await endsWithNewline(file, size));
  // In one call, so that the lines of two processes do not mix.
  await file.appendFile(torn ? `\n${line}` : line);
  await file.sync();
  if (size === 0) await syncFolder(folder);
}

/** As it would be opened, and not made. */
async function rehearse(path: string): Promise<void> {
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
    return checkpointsIn(await readFile(path, 'utf8'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}
