import { access, link, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../core/errors.ts';
import { syncFolder } from '../../core/folders.ts';
import { codeOf } from '../../core/system-errors.ts';

/** Reads a file and its modification time (nanoseconds since 1970) from the same open file. */
export async function readWithMtime(path: string): Promise<{ bytes: Buffer; modified: bigint } | undefined> {
  try {
    await using file = await open(path, 'r');
    const { mtimeNs } = await file.stat({ bigint: true });
    return { bytes: await file.readFile(), modified: mtimeNs };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Writes a file atomically and durably: the content is on disk before the file name appears. Only one writer may call
 * this function at a time. So the function may delete a temporary file that an earlier crash has left.
 * @returns The modification time, or `undefined` if `exclusive` is set and the file exists.
 */
export async function writeFileAtomically(
  path: string,
  text: string,
  exclusive: boolean,
): Promise<bigint | undefined> {
  // Shorten the name so that the prefix and suffix fit within 255 bytes.
  const temporaryFile = join(dirname(path), `.${basename(path).slice(0, 240)}.new`);
  await rm(temporaryFile, { force: true });
  let modified: bigint;
  try {
    modified = await writeDurably(temporaryFile, text);
    if (exclusive) await link(temporaryFile, path);
    else await rename(temporaryFile, path);
  } catch (error) {
    if (exclusive && codeOf(error) === 'EEXIST') return undefined;
    throw error;
  } finally {
    // A full disk leaves a partial file, which contains part of a value and blocks other writers. Remove it.
    await rm(temporaryFile, { force: true });
  }
  await syncFolder(dirname(path));
  return modified;
}

/** Deletes a file durably. */
export async function removeFile(path: string): Promise<void> {
  await rm(path);
  await syncFolder(dirname(path));
}

async function writeDurably(path: string, text: string): Promise<bigint> {
  // The flag `wx` refuses to follow a symbolic link that another user may have created.
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(text);
  await file.sync();
  return (await file.stat({ bigint: true })).mtimeNs;
}

export async function isAccessible(path: string, mode: number): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error) ?? '')) return false;
    throw error;
  }
}

/** Runs disk operations and turns their failures into AppErrors with the given subject. */
export async function withDiskErrors<T>(subject: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw errorFromDisk(thrown, subject);
  }
}

/** The remedy for missing file permissions. In a Kubernetes cluster, RBAC rules take the place of file permissions. */
export const FOLDER_PERMISSIONS_REMEDY =
  'Let this user read and write the folder `cluster.path` and everything in it.';

/** A file name can have at most 255 bytes, including `.yaml`. */
const SHORTER_NAME_REMEDY = 'Set a name of at most 250 characters in `target.secret` of its mapping.';

/** Returns the error for a directory, or a file in it, that cannot be used. */
export function directoryUnavailable(
  detail: string,
  {
    file,
    about: subject,
    cause,
  }: { readonly file?: string; readonly about?: string; readonly cause?: unknown } = {},
): AppError {
  const todo =
    file === undefined
      ? 'No action needed. If the error persists, check `cluster.path` and its disk.'
      : `Fix ${file}, or move it elsewhere.`;
  return new AppError('CLUSTER_UNAVAILABLE', {
    detail,
    remedy: todo,
    cause,
    ...(subject === undefined ? {} : { subject }),
  });
}

function errorFromDisk(thrown: unknown, subject: string): AppError {
  if (thrown instanceof AppError) return thrown.subject === undefined ? thrown.withSubject(subject) : thrown;
  const fail = (code: AppError['code'], detail: string, todo?: string) =>
    new AppError(code, {
      subject,
      detail,
      cause: thrown,
      ...(todo === undefined ? {} : { remedy: todo }),
    });
  const unavailableNow = (detail: string) => directoryUnavailable(detail, { about: subject, cause: thrown });
  if (thrown instanceof Error && ['AbortError', 'TimeoutError'].includes(thrown.name)) {
    return unavailableNow('cancelled while waiting for the lock');
  }
  const code = codeOf(thrown) ?? '';
  switch (code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return fail('CLUSTER_FORBIDDEN', `the file system denied access: ${code}`, FOLDER_PERMISSIONS_REMEDY);
    case 'ENOSPC':
    case 'EDQUOT':
      return unavailableNow(`no space left on the disk: ${code}`);
    case 'ENAMETOOLONG':
      return fail('CLUSTER_REFUSED', 'the name is too long for a file', SHORTER_NAME_REMEDY);
    case 'ERR_SQLITE_ERROR':
      return unavailableNow('the lock file cannot be used');
    default:
      // Show the system error name, such as ENOTDIR, EIO, EMFILE or ELOOP. It contains no secret values.
      return /^E[A-Z]+$/.test(code) ? unavailableNow(code) : fail('INTERNAL', 'unexpected error');
  }
}

const POLL_MS = 5;
const TIMEOUT_MS = 10_000;
/** https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

/**
 * Runs work while this process holds an exclusive lock on an empty SQLite file. The kernel releases the lock when the
 * process ends, even after a crash. A lock file with a process id would not work in containers: every process has id 1,
 * so the process of an old lock looks alive.
 */
export async function withFolderLock<T>(
  path: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  signal?.throwIfAborted();
  await (await open(path, 'a', 0o600)).close();
  using database = new DatabaseSync(path, { timeout: 0 });
  for (let waited = 0; !tryLock(database); waited += POLL_MS) {
    if (waited >= TIMEOUT_MS) {
      throw directoryUnavailable(`another process holds ${path}`);
    }
    await sleep(POLL_MS, undefined, signal ? { signal } : {});
  }
  return await work();
}

function tryLock(database: DatabaseSync): boolean {
  try {
    // Keep the journal in memory, because nothing is written to the database. A journal file would need disk space, but
    // deleting a Secret must work even on a full disk.
    database.exec('PRAGMA journal_mode = memory; BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
