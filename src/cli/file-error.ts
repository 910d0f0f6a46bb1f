import { codeOf, FILE_FAILURES } from '../core/system-errors.ts';
import { UsageError } from './usage-error.ts';

/** The error of a file that the command line names, as one of usage; any other error as it is. */
export function fileError(error: unknown, what: string): unknown {
  const code = codeOf(error);
  if (code === undefined) return error;
  const words = FILE_FAILURES[code];
  return new UsageError(`${what}: ${words === undefined ? code : `${words} (${code})`}`);
}
