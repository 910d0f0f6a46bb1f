import { AppError } from '../../core/errors.ts';
import { codeOf, FILE_FAILURES } from '../../core/system-errors.ts';
import { auditUnavailable, systemCode, unusableStore } from '../errors.ts';

/** Messages for primary result codes of SQLite (https://sqlite.org/rescode.html). */
const SQLITE: Readonly<Record<number, string>> = {
  5: 'another process holds its lock',
  6: 'another process holds its lock',
  8: 'the file or its folder is read-only',
  10: 'the disk reports an I/O error',
  13: 'the disk is full',
  14: 'the file cannot be opened',
  19: 'its last record does not match its head: it was changed from outside',
};

/** SQLITE_IOERR_SHMSIZE: the shared-memory file cannot grow. On a full disk, this is usually the first error. */
const SHM_DISK_FULL = 4874;

const PERMANENT: Readonly<Record<number, string>> = {
  11: 'the file is damaged',
  26: 'the file is not a SQLite database',
};

/** Whether another connection holds the lock. */
export function isBusy(error: unknown): boolean {
  const code = primaryCode(error);
  return code === 5 || code === 6;
}

/** Converts errors of SQLite and the file system to AppErrors. Other errors are bugs, and are returned unchanged. */
export function toAuditError(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const code = primaryCode(error);
  const permanent = PERMANENT[code ?? -1];
  if (permanent !== undefined) return unusableStore(permanent, { cause: error });
  if (extendedCode(error) === SHM_DISK_FULL) return auditUnavailable('the disk is full', error);
  if (code !== undefined) return auditUnavailable(SQLITE[code] ?? `SQLite error ${code}`, error);
  // The database was closed while the caller waited for a lock.
  if (codeOf(error) === 'ERR_INVALID_STATE') return auditUnavailable('it is closed', error);
  const name = systemCode(error);
  if (name !== undefined) return auditUnavailable(FILE_FAILURES[name] ?? name, error);
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
