import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createFingerprinter, type Fingerprinter } from '../../core/fingerprint.ts';
import { makeFolder } from '../../core/folders.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { directoryUnavailable, readWithMtime, writeFileAtomically } from './disk.ts';

/** The file that stores the fingerprint key: 32 random bytes as base64 text, mode 0600. */
const KEY_FILE = '.merge.key';

export async function readKey(root: string): Promise<Fingerprinter | undefined> {
  const path = join(root, KEY_FILE);
  const contents = await readWithMtime(path);
  if (contents === undefined) return undefined;
  const text = contents.bytes.toString('utf8').trim();
  if (!/^[A-Za-z0-9+/]{43}=$/.test(text))
    throw directoryUnavailable(`${path} is not a key of 32 bytes as base64 text`, { file: path });
  return createFingerprinter(SecretValue.fromBytes(Buffer.from(text, 'base64')));
}

/** Only one process may call this at a time. */
export async function readOrCreateKey(root: string): Promise<Fingerprinter> {
  const existing = await readKey(root);
  if (existing !== undefined) return existing;
  await makeFolder(root);
  const bytes = randomBytes(32);
  await writeFileAtomically(join(root, KEY_FILE), `${bytes.toString('base64')}\n`, true);
  return createFingerprinter(SecretValue.fromBytes(bytes));
}
