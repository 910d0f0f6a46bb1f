import { isErrorCode } from '../core/error-codes.ts';
import { type AppError, isTransient } from '../core/errors.ts';

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
