import type { ErrorCode } from '../../core/error-codes.ts';
import { AppError } from '../../core/errors.ts';
import { codeOf } from '../../core/system-errors.ts';

/**
 * The meanings of Node's error codes. Any other code, such as EIO, ESTALE or EMFILE, becomes STORE_UNAVAILABLE, because
 * its cause may go away.
 */
const FILE_SYSTEM: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  EACCES: ['ACCESS_DENIED', 'no permission to read it'],
  EPERM: ['ACCESS_DENIED', 'no permission to read it'],
  ELOOP: ['CONFIG_INVALID', 'its symbolic links form a loop'],
  ENAMETOOLONG: ['CONFIG_INVALID', 'the name is too long'],
  ENOTDIR: ['CONFIG_INVALID', 'a part of the path is a file'],
};

/** @param thrown An error of `node:fs`. Any other error is rethrown. */
export function fromFileSystem(thrown: unknown): AppError {
  const code = codeOf(thrown);
  if (code === undefined) throw thrown;
  const entry = FILE_SYSTEM[code];
  if (entry === undefined) return unavailable(`the file system reports ${code}`, thrown);
  const [kind, detail] = entry;
  return new AppError(kind, { detail, cause: thrown });
}

/** Creates a STORE_UNAVAILABLE error with its own remedy, because the general remedy is about network addresses. */
export function unavailable(detail: string, cause?: unknown): AppError {
  const todo =
    'No action needed. If the error persists, check `path` of the store, and that its volume is mounted.';
  return new AppError('STORE_UNAVAILABLE', { detail, remedy: todo, cause });
}

export function changed(): AppError {
  return unavailable('it changed while being read');
}

/**
 * The maximum number of attempts. An update of a mounted volume takes a moment, and several updates may follow each
 * other.
 */
const MAX_ATTEMPTS = 5;

/** Does the work. Repeats it immediately after an error that an update of the volume can cause. */
export async function retryDuringUpdate<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const isTemporary = error instanceof AppError && error.code === 'STORE_UNAVAILABLE';
      if (!isTemporary || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}
