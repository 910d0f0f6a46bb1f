import { AppError } from '../../core/errors.ts';
import { codeOf, FILE_FAILURES } from '../../core/system-errors.ts';
import { because, systemCode, unusable } from '../failures.ts';

/** Primary result codes of SQLite (https://sqlite.org/rescode.html), as a person would say them. */
const SQLITE: Readonly<Record<number, string>> = {
  5: 'another process holds its lock',
  6: 'another process holds its lock',
  8: 'the file or its folder is read-only',
  10: 'the disk refuses to read or write',
  13: 'the disk is full',
  14: 'the file cannot be opened',
  19: 'its last record does not fit its head, so that it was changed from outside',
};

/** SQLITE_IOERR_SHMSIZE: what it keeps beside the file cannot grow, which is where a full disk shows first. */
const NO_ROOM = 4874;

const NEVER: Readonly<Record<number, string>> = {
  11: 'the file is damaged',
  26: 'the file is not a SQLite database',
};

/** Whether another connection holds a lock just now. */
export function isBusy(error: unknown): boolean {
  const code = primaryCode(error);
  return code === 5 || code === 6;
}

export function isSqlite(error: unknown): boolean {
  return primaryCode(error) !== undefined;
}

/** What SQLite or the file system threw, as ours; anything else is a fault of ours and passes. */
export function unavailable(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const code = primaryCode(error);
  const never = NEVER[code ?? -1];
  if (never !== undefined) return unusable(never, { cause: error });
  if (extendedCode(error) === NO_ROOM) return because('the disk is full', error);
  if (code !== undefined) return because(SQLITE[code] ?? `SQLite error ${code}`, error);
  // Who waited for a lock meanwhile.
  if (codeOf(error) === 'ERR_INVALID_STATE') return because('it is closed', error);
  const name = systemCode(error);
  if (name !== undefined) return because(FILE_FAILURES[name] ?? name, error);
  return error;
}

function primaryCode(error: unknown): number | undefined {
  const code = extendedCode(error);
  return code === undefined ? undefined : code & 0xff;
}

function extendedCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined;
  return error.errcode;
}
