import { AppError } from '../core/errors.ts';
import { whyUnread } from '../core/small-file.ts';
import { codeOf } from '../core/system-errors.ts';

export function because(detail: string, cause?: unknown, todo?: string): AppError {
  return new AppError('AUDIT_UNAVAILABLE', { detail, cause, ...(todo === undefined ? {} : { todo }) });
}

/** Of the rest of the audit nothing is wrong, nor of its disk. */
export function damagedRecord(): AppError {
  const todo =
    'Find out which one with `secretbridge audit verify`, and compare it with an export or a backup from before.';
  return because('a record is damaged', undefined, todo);
}

/** Of work that only one may do: nothing is wrong with the audit, but its turn did not come. */
export function busyElsewhere(cause?: unknown): AppError {
  return new AppError('BUSY_ELSEWHERE', { cause });
}

const ANOTHER = 'Name the right place in `audit.store` or `--audit`, or put a backup back.';

/** Of what is no audit of ours, or none any more: waiting does not mend it. */
export function unusable(detail: string, { todo = ANOTHER, cause }: { todo?: string; cause?: unknown } = {}) {
  return new AppError('AUDIT_UNAVAILABLE', { detail, todo, person: true, cause });
}

export function fromNewer(schema: number, known: number): AppError {
  return unusable(`it was written by a newer release: schema ${schema}, this one knows ${known}`, {
    todo: 'Use the release that wrote it, or a newer one.',
  });
}

/** Every failure of the store names it. */
export async function named<T>(address: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError && error.code === 'AUDIT_UNAVAILABLE')
      throw error.concerning(`audit store ${address}`);
    throw error;
  }
}

/** `ENOENT` and its like: what Node's file system and network calls put into `code`. */
export function systemCode(error: unknown): string | undefined {
  const code = codeOf(error);
  return code !== undefined && /^E[A-Z0-9_]{2,15}$/.test(code) ? code : undefined;
}

/** Whatever the file system says of the files that hold `what`, as ours, about `about`. */
export async function onDisk<T>(
  { what, about, todo }: { readonly what: string; readonly about: string; readonly todo: string },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw because(`${what} cannot be read or written: ${whyUnread(error) ?? code}`, error, todo).concerning(
      about,
    );
  }
}
