import { rm, writeFile } from 'node:fs/promises';
import { isErrorCode } from '../core/error-codes.ts';
import { type AppError, isTransient } from '../core/errors.ts';
import { codeOf, FILE_FAILURES } from '../core/system-errors.ts';

/** The exit codes, in order of precedence. They are part of the public contract. */
export const EXIT = { usage: 64, config: 3, retry: 1, person: 4, changes: 2, ok: 0 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface Verdict {
  /** Whether a change was refused or is held. Such a change needs action by a person, whatever its error code is. */
  readonly person?: boolean;
  /** Whether a plan contains changes that are not applied yet. */
  readonly changes?: boolean;
}

/**
 * Returns the exit code of a command that ended with an error. The exit code depends only on the error code, so scripts
 * can rely on it. There is one exception: a refusal needs a person even if its error code is transient.
 */
export function exitCodeOf({ code, isRefusal }: AppError): ExitCode {
  if (code === 'CONFIG_INVALID') return EXIT.config;
  return isTransient(code) && !isRefusal ? EXIT.retry : EXIT.person;
}

/**
 * Returns the exit code of a run in which targets failed with these codes. The code CONFIG_INVALID of a single target
 * does not mean that the whole configuration is invalid. If a code is unknown here, for example because the service is
 * newer, a person is needed.
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

/** Thrown if the command line is correct, but the disk is full or another resource is used up. Exit code 1. */
export class OutOfSpaceError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NoRoomError';
  }
}

const OUT_OF_SPACE: readonly string[] = ['EDQUOT', 'EFBIG', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC'];

/**
 * Converts an error of the file system about a file that was named on the command line. Returns a usage error, or an
 * OutOfSpaceError if a resource is used up. Returns all other errors unchanged.
 */
export function fileError(error: unknown, what: string): unknown {
  const code = codeOf(error);
  if (code === undefined) return error;
  const words = FILE_FAILURES[code];
  const message = `${what}: ${words === undefined ? code : `${words} (${code})`}`;
  return OUT_OF_SPACE.includes(code) ? new OutOfSpaceError(message) : new UsageError(message);
}

/**
 * Writes a file completely or not at all. The command never overwrites a file, so a partial file would make the next
 * attempt fail.
 */
export async function writeAllOrNothing(path: string, text: string, flag: 'w' | 'wx'): Promise<void> {
  try {
    await writeFile(path, text, { flag });
  } catch (error) {
    // Remove the file only if writing to it failed. If opening the file failed, it may have existed before.
    if (error instanceof Error && 'syscall' in error && error.syscall === 'write')
      await rm(path, { force: true });
    throw error;
  }
}
