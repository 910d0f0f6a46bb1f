import { isErrorCode } from '../core/error-codes.ts';
import { type AppError, healsItself } from '../core/errors.ts';

/** The contract of the exit code: the first that holds, in this order. */
export const EXIT = { usage: 64, config: 3, retry: 1, person: 4, changes: 2, ok: 0 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface Verdict {
  /** Something was refused or is held, whatever its code: that needs a person. */
  readonly person?: boolean;
  /** Changes are pending. */
  readonly changes?: boolean;
}

/**
 * What a command comes to that an error has ended. It follows from the code alone, so that scripts can rely on it, but
 * for what was refused: that is the same here as in a run.
 */
export function exitCodeOf({ code, refused }: AppError): ExitCode {
  if (code === 'CONFIG_INVALID') return EXIT.config;
  return healsItself(code) && !refused ? EXIT.retry : EXIT.person;
}

/**
 * What a run comes to whose parts failed with these codes: a part at fault leaves the configuration as a whole valid.
 * A code that only a newer service knows is a person's.
 */
export function exitCode(failures: readonly string[], { person, changes }: Verdict = {}): ExitCode {
  if (failures.some((code) => isErrorCode(code) && healsItself(code))) return EXIT.retry;
  if (person || failures.length > 0) return EXIT.person;
  return changes ? EXIT.changes : EXIT.ok;
}
