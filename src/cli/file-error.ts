import { rm, writeFile } from 'node:fs/promises';
import { codeOf, FILE_FAILURES } from '../core/system-errors.ts';
import { UsageError } from './usage-error.ts';

/** The command line is correct, but the disk is full or another resource is used up. Exit code 1. */
export class OutOfSpaceError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NoRoomError';
  }
}

const OUT_OF_SPACE: readonly string[] = ['EDQUOT', 'EFBIG', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC'];

/**
 * Converts the error of a file that was named on the command line, usually to a usage error. Other errors are returned
 * unchanged.
 */
export function fileError(error: unknown, what: string): unknown {
  const code = codeOf(error);
  if (code === undefined) return error;
  const words = FILE_FAILURES[code];
  const message = `${what}: ${words === undefined ? code : `${words} (${code})`}`;
  return OUT_OF_SPACE.includes(code) ? new OutOfSpaceError(message) : new UsageError(message);
}

/**
 * Writes a file completely or not at all. A partial file would prevent the next attempt, which never overwrites a file.
 */
export async function writeAllOrNothing(path: string, text: string, flag: 'w' | 'wx'): Promise<void> {
  try {
    await writeFile(path, text, { flag });
  } catch (error) {
    // Remove the file only if writing to it failed. After an earlier error it may be an existing file.
    if (error instanceof Error && 'syscall' in error && error.syscall === 'write')
      await rm(path, { force: true });
    throw error;
  }
}
