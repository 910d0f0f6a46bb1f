import type { ErrorCode } from '../../core/error-codes.ts';
import { AppError } from '../../core/errors.ts';
import { codeOf } from '../../core/system-errors.ts';

/** Codes of Node. What is not listed (EIO, ESTALE, EMFILE …) is STORE_UNAVAILABLE: it may mend itself. */
const FILE_SYSTEM: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  EACCES: ['ACCESS_DENIED', 'no permission to read it'],
  EPERM: ['ACCESS_DENIED', 'no permission to read it'],
  ELOOP: ['CONFIG_INVALID', 'symbolic links in a circle'],
  ENAMETOOLONG: ['CONFIG_INVALID', 'the name is too long'],
  ENOTDIR: ['CONFIG_INVALID', 'a part of the path is a file'],
};

/** @param thrown An error of `node:fs`. Anything else is thrown on. */
export function fromFileSystem(thrown: unknown): AppError {
  const code = codeOf(thrown);
  if (code === undefined) throw thrown;
  const known = FILE_SYSTEM[code];
  if (known === undefined) return unavailable(`the file system says ${code}`, thrown);
  const [kind, detail] = known;
  return new AppError(kind, { detail, cause: thrown });
}

/** There is no network between us and a folder. */
export function unavailable(detail: string, cause?: unknown): AppError {
  const todo = 'Nothing at once; if it goes on, check `path` of the store, and that its volume is mounted.';
  return new AppError('STORE_UNAVAILABLE', { detail, todo, cause });
}

export function changed(): AppError {
  return unavailable('it changed while it was read');
}

/** An update of a mounted volume takes a moment, and several may follow each other. */
const ATTEMPTS = 5;

/** Looks again, at once, as long as it may have met an update. */
export async function steadily<T>(look: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await look();
    } catch (error) {
      const isPassing = error instanceof AppError && error.code === 'STORE_UNAVAILABLE';
      if (!isPassing || attempt === ATTEMPTS) throw error;
    }
  }
}
