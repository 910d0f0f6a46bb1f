/** What the file system says, in words; by the code of Node's errors. */
export const FILE_FAILURES: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EDQUOT: 'the quota of the disk is used up',
  EEXIST: 'it is there already',
  EISDIR: 'it is a folder',
  ELOOP: 'its symbolic links go in a circle',
  EMFILE: 'this process has too many files and connections open',
  ENAMETOOLONG: 'the path is too long',
  ENFILE: 'the system has too many files and connections open',
  ENOENT: 'there is no such file or folder',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of the path is not a folder',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
};

/** What the machine has too little of for the moment. It says nothing about the file that was asked for. */
const SHORTAGES: readonly string[] = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'];

/** Why nothing can be opened or started just now, in words; undefined where something else is wrong. */
export function shortageOf(error: unknown): string | undefined {
  const code = codeOf(error) ?? '';
  return SHORTAGES.includes(code) ? (FILE_FAILURES[code] ?? code) : undefined;
}

/** What Node puts on the errors of the system and of OpenSSL, such as ENOENT; undefined for any other error. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
