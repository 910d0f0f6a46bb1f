import { access, link, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { syncFolder } from '../../core/folders.ts';
import { codeOf } from '../../core/system-errors.ts';

/** The bytes of a file and when it was last written (nanoseconds since 1970), of one and the same file. */
export async function readWithTime(path: string): Promise<{ bytes: Buffer; modified: bigint } | undefined> {
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
 * Puts a file in place at once and durably: the content is on the disk before the name shows it. To be called
 * by one writer at a time, so a half-written file that a crash left behind is of no use to anybody.
 * @returns When it was written, or `undefined` if `exclusive` and there is one already.
 */
export async function putFile(path: string, text: string, exclusive: boolean): Promise<bigint | undefined> {
  // Cut, so that it has room where the file itself just has.
  const draft = join(dirname(path), `.${basename(path).slice(0, 240)}.new`);
  await rm(draft, { force: true });
  let modified: bigint;
  try {
    modified = await writeDurably(draft, text);
    if (exclusive) await link(draft, path);
    else await rename(draft, path);
  } catch (error) {
    if (exclusive && codeOf(error) === 'EEXIST') return undefined;
    throw error;
  } finally {
    // Also of what a full disk cut off: it is half a value, and in the way of others.
    await rm(draft, { force: true });
  }
  await syncFolder(dirname(path));
  return modified;
}

/** Takes a file away durably. */
export async function removeFile(path: string): Promise<void> {
  await rm(path);
  await syncFolder(dirname(path));
}

async function writeDurably(path: string, text: string): Promise<bigint> {
  // `wx`: never through a link that somebody put there.
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(text);
  await file.sync();
  return (await file.stat({ bigint: true })).mtimeNs;
}

export async function allowed(path: string, mode: number): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error) ?? '')) return false;
    throw error;
  }
}

/** Runs work on the disk; its failures become errors of ours about the object named. */
export async function typed<T>(about: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw errorOfDisk(thrown, about);
  }
}

/** What there is in place of Roles. */
export const FOLDER_RIGHTS = 'Let this user read and write the folder of `cluster.path`, and what is in it.';

/** With `.yaml`, where a file may have 255 bytes. */
const SHORTER_NAME = 'Give it a name of at most 250 characters, by `target.secret` of its mapping.';

/** There is no network between us and a folder. With a file, what is wrong is in it. */
export function unusable(
  detail: string,
  { file, about, cause }: { readonly file?: string; readonly about?: string; readonly cause?: unknown } = {},
): AppError {
  const todo =
    file === undefined
      ? 'Nothing at once; if it goes on, check `cluster.path`, and the disk that it is on.'
      : `Mend ${file}, or move it elsewhere.`;
  return new AppError('CLUSTER_UNAVAILABLE', {
    detail,
    todo,
    cause,
    ...(about === undefined ? {} : { about }),
  });
}

function errorOfDisk(thrown: unknown, about: string): AppError {
  if (thrown instanceof AppError) return thrown.about === undefined ? thrown.concerning(about) : thrown;
  const fail = (code: AppError['code'], detail: string, todo?: string) =>
    new AppError(code, { about, detail, cause: thrown, ...(todo === undefined ? {} : { todo }) });
  const unusableNow = (detail: string) => unusable(detail, { about, cause: thrown });
  if (thrown instanceof Error && ['AbortError', 'TimeoutError'].includes(thrown.name)) {
    return unusableNow('cancelled before it was our turn');
  }
  const code = codeOf(thrown) ?? '';
  switch (code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return fail('CLUSTER_FORBIDDEN', `the file system does not let us: ${code}`, FOLDER_RIGHTS);
    case 'ENOSPC':
    case 'EDQUOT':
      return unusableNow(`no space is left: ${code}`);
    case 'ENAMETOOLONG':
      return fail('CLUSTER_REFUSED', 'the name is too long for a file', SHORTER_NAME);
    case 'ERR_SQLITE_ERROR':
      return unusableNow('the lock file cannot be used');
    default:
      // ENOTDIR, EIO, EMFILE, ELOOP …: names of the system, without a value in them.
      return /^E[A-Z]+$/.test(code) ? unusableNow(code) : fail('INTERNAL', 'unexpected failure');
  }
}
