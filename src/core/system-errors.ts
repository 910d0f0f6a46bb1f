/** Explanations of file system errors, by Node's error code. */
export const FILE_FAILURES: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EDQUOT: 'the disk quota is exhausted',
  EEXIST: 'it already exists',
  EIO: 'the disk reports an I/O error',
  EISDIR: 'it is a folder',
  ELOOP: 'its symbolic links form a loop',
  EMFILE: 'this process has too many open files and connections',
  ENAMETOOLONG: 'the path is too long',
  ENFILE: 'the system has too many open files and connections',
  ENOENT: 'no such file or folder',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of the path is not a folder',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
};

/** Codes which mean that the machine is short of a resource. The file itself may be fine. */
const SHORTAGES: readonly string[] = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'];

/** Explains a temporary shortage of resources. Returns undefined for any other error. */
export function resourceShortageOf(error: unknown): string | undefined {
  const code = codeOf(error) ?? '';
  return SHORTAGES.includes(code) ? (FILE_FAILURES[code] ?? code) : undefined;
}

/** Returns the code that Node sets on system and OpenSSL errors, such as ENOENT. Undefined for any other error. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
