import type { ErrorCode } from '../../core/error-codes.ts';
import { AppError } from '../../core/errors.ts';

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
  const [kind, detail] = FILE_SYSTEM[code] ?? ['STORE_UNAVAILABLE', `the file system says ${code}`];
  return new AppError(kind, { detail, cause: thrown });
}

export function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string'
    ? thrown.code
    : undefined;
}
