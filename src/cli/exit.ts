import { isErrorCode } from '../core/error-codes.ts';
import { type AppError, isTransient } from '../core/errors.ts';

/** The exit code contract. The first that applies wins, in this order. */
export const EXIT = { usage: 64, config: 3, retry: 1, person: 4, changes: 2, ok: 0 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface Verdict {
  /** Something was refused or is held, which needs a person whatever its code is. */
  readonly person?: boolean;
  /** Changes are pending. */
  readonly changes?: boolean;
}

/**
 * The exit code of a command that ended with an error. It depends on the code alone, so that scripts can rely on it.
 * The exception is a refusal, which has the same exit code as in a run.
 */
export function exitCodeOf({ code, isRefusal }: AppError): ExitCode {
  if (code === 'CONFIG_INVALID') return EXIT.config;
  return isTransient(code) && !isRefusal ? EXIT.retry : EXIT.person;
}

/**
 * The exit code of a run with these failures. CONFIG_INVALID of a single target does not make the whole configuration
 * invalid. An unknown code from a newer service needs a person.
 */
export function exitCode(failures: readonly string[], { person, changes }: Verdict = {}): ExitCode {
  if (failures.some((code) => isErrorCode(code) && isTransient(code))) return EXIT.retry;
  if (person || failures.length > 0) return EXIT.person;
  return changes ? EXIT.changes : EXIT.ok;
}
