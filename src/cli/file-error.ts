import { rm, writeFile } from 'node:fs/promises';
import { codeOf, FILE_FAILURES } from '../core/system-errors.ts';
import { UsageError } from './usage-error.ts';

/** The command line is right, and the machine has no room for what it asks for: exit code 1. */
export class NoRoomError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NoRoomError';
  }
}

const NO_ROOM: readonly string[] = ['EDQUOT', 'EFBIG', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC'];

/** The error of a file that the command line names: mostly one of usage; any other error as it is. */
export function fileError(error: unknown, what: string): unknown {
  const code = codeOf(error);
  if (code === undefined) return error;
  const words = FILE_FAILURES[code];
  const message = `${what}: ${words === undefined ? code : `${words} (${code})`}`;
  return NO_ROOM.includes(code) ? new NoRoomError(message) : new UsageError(message);
}

/** Whole or not at all: half of it would be taken for a file of somebody else by the next try. */
export async function writeWhole(path: string, text: string, flag: 'w' | 'wx'): Promise<void> {
  try {
    await writeFile(path, text, { flag });
  } catch (error) {
    // Otherwise it was not even opened, and may be somebody else's.
    if (error instanceof Error && 'syscall' in error && error.syscall === 'write')
      await rm(path, { force: true });
    throw error;
  }
}
