import { rm, writeFile } from 'node:fs/promises';
import { isErrorCode } from '../core/error-codes.ts';
import { type AppError, isTransient } from '../core/errors.ts';
import { codeOf, FILE_FAILURES } from '../core/system-errors.ts';

/** The exit codes, in order of precedence. They are part of the public contract. */
export const EXIT = { usage: 64, config: 3, retry: 1, person: 4, changes: 2, ok: 0 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface Verdict {
  /** Whether a change was refused or is held. Such a change needs a person, independent of its code. */
  readonly person?: boolean;
  /** Whether changes are pending. */
  readonly changes?: boolean;
}

/**
 * Returns the exit code of a command that ended with an error. Scripts can rely on it, because it depends only on the
 * error code. The exception is a refusal, which needs a person even if its code is transient.
 */
export function exitCodeOf({ code, isRefusal }: AppError): ExitCode {
  if (code === 'CONFIG_INVALID') return EXIT.config;
  return isTransient(code) && !isRefusal ? EXIT.retry : EXIT.person;
}

/**
 * Returns the exit code of a run with these failures. CONFIG_INVALID of one target does not mean that the whole
 * configuration is invalid. An unknown code from a newer service needs a person.
 */
export function exitCode(failures: readonly string[], { person, changes }: Verdict = {}): ExitCode {
  if (failures.some((code) => isErrorCode(code) && isTransient(code))) return EXIT.retry;
  if (person || failures.length > 0) return EXIT.person;
  return changes ? EXIT.changes : EXIT.ok;
}

/** An error in the command line. Exit code 64. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

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
    // Remove the file only if writing to it failed. If opening it failed, it may be a file that existed before.
    if (error instanceof Error && 'syscall' in error && error.syscall === 'write')
      await rm(path, { force: true });
    throw error;
  }
}
