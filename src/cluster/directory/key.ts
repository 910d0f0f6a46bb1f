import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createFingerprinter, type Fingerprinter } from '../../core/fingerprint.ts';
import { makeFolder } from '../../core/folders.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { putFile, readWithTime, unusable } from './disk.ts';

/** The key of the fingerprints of what is written: 32 random bytes as base64 text, mode 0600. */
const FILE = '.merge.key';

export async function readKey(root: string): Promise<Fingerprinter | undefined> {
  const path = join(root, FILE);
  const found = await readWithTime(path);
  if (found === undefined) return undefined;
  const text = found.bytes.toString('utf8').trim();
  if (!/^[A-Za-z0-9+/]{43}=$/.test(text))
    throw unusable(`${path} is not a key of 32 bytes as base64 text`, { file: path });
  return createFingerprinter(SecretValue.fromBytes(Buffer.from(text, 'base64')));
}

/** To be called by one process at a time. */
export async function readOrMakeKey(root: string): Promise<Fingerprinter> {
  const there = await readKey(root);
  if (there !== undefined) return there;
  await makeFolder(root);
  const bytes = randomBytes(32);
  await putFile(join(root, FILE), `${bytes.toString('base64')}\n`, true);
  return createFingerprinter(SecretValue.fromBytes(bytes));
}
