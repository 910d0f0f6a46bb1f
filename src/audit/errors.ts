import { AppError } from '../core/errors.ts';
import { readFailureReason } from '../core/small-file.ts';
import { codeOf } from '../core/system-errors.ts';

export function auditUnavailable(detail: string, cause?: unknown, todo?: string): AppError {
  return new AppError('AUDIT_UNAVAILABLE', {
    detail,
    cause,
    ...(todo === undefined ? {} : { remedy: todo }),
  });
}

/**
 * Creates the error for a damaged record. This error has its own remedy, because the disk and all other records may be
 * intact.
 */
export function damagedRecord(): AppError {
  const todo =
    'Run `secretbridge audit verify` to find the record, and compare it with an export or a backup.';
  return auditUnavailable('a record is damaged', undefined, todo);
}

/** Creates the error for a lock that another process held for too long. The audit log itself is intact. */
export function busyElsewhere(cause?: unknown): AppError {
  return new AppError('BUSY_ELSEWHERE', { cause });
}

/** A record that the store contained and now lacks. */
interface LostRecord {
  readonly sequence: number;
  readonly hash: string;
}

class RecordsLost extends Error {
  readonly last: LostRecord;

  constructor(last: LostRecord) {
    super('the store lost records');
    this.last = last;
  }
}

/** Creates the error for a store that lacks records which this process wrote or read. `last` is the newest of them. */
export function recordsLost(last: LostRecord): AppError {
  return auditUnavailable(
    'it lacks records that this process wrote or read: a failover lost them, or an older backup was restored',
    new RecordsLost(last),
    'Bring the server with these records back if possible. Otherwise accept the loss with `secretbridge audit accept`.',
  );
}

/** Returns the newest lost record if the error reports a loss of records. */
export function lastLostRecord(error: unknown): LostRecord | undefined {
  return error instanceof AppError && error.cause instanceof RecordsLost ? error.cause.last : undefined;
}

const WRONG_STORE_REMEDY = 'Set `audit.store` or `--audit` to the right store, or restore a backup.';

/** Creates the error for a store that is not a usable audit store. A person must act, because a retry cannot help. */
export function unusableStore(
  detail: string,
  { todo = WRONG_STORE_REMEDY, cause }: { todo?: string; cause?: unknown } = {},
) {
  return new AppError('AUDIT_UNAVAILABLE', { detail, remedy: todo, needsAction: true, cause });
}

/** Creates the error for a store with a schema that this release does not know. */
export function otherSchema(schema: number, supported: number): AppError {
  if (schema > supported)
    return unusableStore(
      `it was written by a newer release: schema ${schema}, this release supports ${supported}`,
      { todo: 'Use the release that wrote it, or a newer one.' },
    );
  return unusableStore(`its schema ${schema} is unknown, this release supports ${supported}`);
}

/** Runs work. If it fails with AUDIT_UNAVAILABLE, adds the address of the store to the error. */
export async function withStoreAddress<T>(address: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError && error.code === 'AUDIT_UNAVAILABLE')
      throw error.withSubject(`audit store ${address}`);
    throw error;
  }
}

/**
 * Returns the `code` that Node sets on file system and network errors, such as `ENOENT`. Returns undefined for other
 * errors.
 */
export function systemCode(error: unknown): string | undefined {
  const code = codeOf(error);
  return code !== undefined && /^E[A-Z0-9_]{2,15}$/.test(code) ? code : undefined;
}

/**
 * Runs work, and converts file system errors to AUDIT_UNAVAILABLE. `about` becomes the subject of the error, and `what`
 * a part of its message.
 */
export async function withFileErrors<T>(
  { what, about, todo }: { readonly what: string; readonly about: string; readonly todo: string },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw auditUnavailable(
      `${what} cannot be read or written: ${readFailureReason(error) ?? code}`,
      error,
      todo,
    ).withSubject(about);
  }
}
