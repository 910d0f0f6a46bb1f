import { rm, writeFile } from 'node:fs/promises';
import { codeOf, FILE_FAILURES } from '../core/system-errors.ts';
import { UsageError } from './usage-error.ts';

/** The command line is correct, but the machine has no space or resources left: exit code 1. */
export class OutOfSpaceError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NoRoomError';
  }
}

const OUT_OF_SPACE: readonly string[] = ['EDQUOT', 'EFBIG', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC'];

/** Converts the error of a file on the command line, usually to a usage error. Other errors are returned unchanged. */
export function fileError(error: unknown, what: string): unknown {
  const code = codeOf(error);
  if (code === undefined) return error;
  const words = FILE_FAILURES[code];
  const message = `${what}: ${words === undefined ? code : `${words} (${code})`}`;
  return OUT_OF_SPACE.includes(code) ? new OutOfSpaceError(message) : new UsageError(message);
}

/** Writes a file completely or not at all. The next attempt would refuse to overwrite a partial file. */
export async function writeAllOrNothing(path: string, text: string, flag: 'w' | 'wx'): Promise<void> {
  try {
    await writeFile(path, text, { flag });
  } catch (error) {
    // If the error came earlier, the file was not opened and may belong to somebody else.
    if (error instanceof Error && 'syscall' in error && error.syscall === 'write')
      await rm(path, { force: true });
    throw error;
  }
}
