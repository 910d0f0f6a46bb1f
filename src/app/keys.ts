import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '../core/errors.ts';
import { SecretValue } from '../core/secret-value.ts';
import type { Reference } from '../providers/credentials.ts';

export interface KeyDeps {
  /** Whether a key file that is not there is made: beside a SQLite store, where no second replica could make another. */
  readonly make: boolean;
  readonly credential: (reference: Reference) => Promise<SecretValue>;
  readonly random?: (size: number) => Uint8Array;
}

/** The newest key of the fingerprints: 32 random bytes, kept as base64 text. */
export async function fingerprintKey([reference]: readonly Reference[], deps: KeyDeps): Promise<SecretValue> {
  if (reference === undefined) throw new AppError('CREDENTIAL_MISSING', { about: 'keys.fingerprint' });
  if (deps.make && 'file' in reference) await makeFile(reference.file, deps.random ?? randomBytes);
  const text = Buffer.from((await deps.credential(reference)).reveal())
    .toString('latin1')
    .trim();
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== 32 || bytes.toString('base64') !== text)
    throw new AppError('CREDENTIAL_MISSING', {
      about: 'keys.fingerprint',
      detail: 'it is not 32 bytes as base64 text',
    });
  return SecretValue.fromBytes(bytes);
}

/** All or nothing, and once: of two processes that start together both use the key of the faster one. */
async function makeFile(path: string, random: (size: number) => Uint8Array): Promise<void> {
  try {
    // First, since a key that was provided may lie in a folder that cannot be written.
    if (await exists(path)) return;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const draft = `${path}.${Buffer.from(random(6)).toString('hex')}.tmp`;
    try {
      await writeDurably(draft, `${Buffer.from(random(32)).toString('base64')}\n`);
      await link(draft, path);
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    } finally {
      await rm(draft, { force: true });
    }
  } catch (cause) {
    const detail = `file ${path} is not there and cannot be made: ${cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'}`;
    throw new AppError('CREDENTIAL_MISSING', { about: 'keys.fingerprint', detail, cause });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false;
    throw error;
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(text);
  await file.sync();
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
