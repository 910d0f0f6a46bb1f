import { readFile, stat } from 'node:fs/promises';
import { AppError } from '../core/errors.ts';
import { unlessAborted } from './abort.ts';
import { systemDeadline } from './timing.ts';

/** Well within the time after which a loop counts as stalled. A file of ours is small and near. */
const SOON_MS = 10_000;

/** By path. No time limit ends a call of a file system that hangs: each would keep one more thread of the process. */
const underWay = new Map<string, Promise<Buffer>>();

/**
 * A credential or a certificate from a file.
 * @throws AppError TIMEOUT where the file system does not answer; else what Node throws, with a `code`.
 */
export async function readSoon(path: string): Promise<Buffer> {
  const reading = underWay.get(path) ?? begin(path);
  const limit = systemDeadline(SOON_MS);
  try {
    return await unlessAborted(reading, limit.signal);
  } catch (thrown) {
    if (thrown !== limit.signal.reason) throw thrown;
    throw new AppError('TIMEOUT', {
      about: `file ${path}`,
      detail: 'its file system does not answer',
      todo: 'Nothing at once; if it goes on, look at the file system on which that file is.',
    });
  } finally {
    limit.stop();
  }
}

function begin(path: string): Promise<Buffer> {
  const reading = read(path).finally(() => underWay.delete(path));
  underWay.set(path, reading);
  return reading;
}

async function read(path: string): Promise<Buffer> {
  // A read of a pipe that nobody writes to never ends, and cannot be called off.
  if (!(await stat(path)).isFile())
    throw Object.assign(new Error('not a regular file'), { code: NOT_A_FILE });
  return readFile(path);
}

/** Beside the codes of Node. */
export const NOT_A_FILE = 'NOT_A_FILE';
