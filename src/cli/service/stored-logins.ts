import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { withLock } from '../../audit/sqlite/lock.ts';
import { AppError } from '../../core/errors.ts';
import { makeFolder } from '../../core/folders.ts';
import { parseAny } from '../../core/json.ts';
import { readFailureReason } from '../../core/small-file.ts';
import { codeOf } from '../../core/system-errors.ts';
import type { Context } from '../context.ts';

/** The credentials that `secretbridge login` got from a service. */
export interface StoredLogin {
  readonly name: string;
  readonly token: string;
  /** For a new token. */
  readonly renewal: string;
  /** RFC 3339: the first use after this time renews the token. */
  readonly renewAfter: string;
  /** RFC 3339. */
  readonly endsAt: string;
}

const Login = z.object({
  ...{ name: z.string(), token: z.string(), renewal: z.string() },
  ...{ renewAfter: z.string(), endsAt: z.string() },
});
const Content = z.object({ logins: z.record(z.string(), Login) });

type Logins = Readonly<Record<string, StoredLogin>>;

const LOCK_MS = 30_000;

/**
 * Returns the file with the logins of this person, in the folder of the XDG Base Directory Specification. Undefined if
 * the person has no such folder.
 */
export function loginsPath({ env }: Pick<Context, 'env'>): string | undefined {
  const base = env.XDG_CONFIG_HOME || (env.HOME && join(env.HOME, '.config')) || env.APPDATA;
  return base ? join(base, 'secretbridge', 'logins.json') : undefined;
}

/**
 * Returns the logins by the URL of the service. Undefined if the file does not exist.
 * @throws AppError CREDENTIAL_MISSING if the file cannot be used
 */
export async function readLogins(path: string): Promise<Logins> {
  try {
    const { mode } = await stat(path);
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw unusable(path, 'other users may read it', `Run \`chmod 600 ${path}\`, and sign in again.`);
    const content = Content.safeParse(parseAny(await readFile(path, 'utf8'))).data;
    if (content === undefined)
      throw unusable(path, 'it has an unknown format', `Delete ${path}, and sign in again.`);
    return content.logins;
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (codeOf(error) === 'ENOENT') return {};
    throw unusable(
      path,
      readFailureReason(error) ?? 'it cannot be read',
      `Check the permissions of ${path}.`,
      error,
    );
  }
}

/**
 * Changes the login of one service. Other processes wait meanwhile, because many providers accept each refresh token only
 * once. @param change Returns the new login, or undefined to remove the login.
 */
export async function changeLogin(
  path: string,
  url: string,
  change: (login: StoredLogin | undefined) => Promise<StoredLogin | undefined>,
): Promise<StoredLogin | undefined> {
  await makeFolder(dirname(path));
  return withLock(`${path}.lock`, LOCK_MS, async () => {
    const { [url]: before, ...others } = await readLogins(path);
    const after = await change(before);
    if (after !== before) await write(path, after === undefined ? others : { ...others, [url]: after });
    return after;
  });
}

async function write(path: string, logins: Logins): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await using file = await open(draft, 'wx', 0o600);
    await file.writeFile(`${JSON.stringify({ logins }, null, 2)}\n`);
    await file.sync();
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw unusable(
      path,
      readFailureReason(error) ?? 'it cannot be written',
      `Check the folder of ${path}.`,
      error,
    );
  }
}

function unusable(path: string, reason: string, remedy: string, cause?: unknown): AppError {
  return new AppError('CREDENTIAL_MISSING', { subject: `file ${path}`, detail: reason, remedy, cause });
}
