import { createHash, createPrivateKey, sign } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ReleaseError } from './commands.ts';

export async function sha256Of(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

/** Writes `SHA256SUMS` in the format of sha256sum. Returns its path. */
export async function writeChecksums(output: string, paths: readonly string[]): Promise<string> {
  const lines = await Promise.all(
    paths
      .map((path) => basename(path))
      .toSorted()
      .map(async (name) => `${await sha256Of(join(output, name))}  ${name}\n`),
  );
  const path = join(output, 'SHA256SUMS');
  await writeFile(path, lines.join(''));
  return path;
}

/**
 * Signs a file with a private key (PEM, ECDSA on P-256). Writes the signature next to the file, as base64 of the DER
 * format, which openssl and `cosign verify-blob` can verify.
 */
export async function signFile(path: string, keyPath: string): Promise<string> {
  const key = createPrivateKey(await readKey(keyPath));
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new ReleaseError(`${keyPath} is not a private key for ECDSA on the curve P-256.`);
  const signature = sign('sha256', await readFile(path), key);
  await writeFile(`${path}.sig`, `${signature.toString('base64')}\n`);
  return `${path}.sig`;
}

async function readKey(path: string): Promise<string> {
  const text = await readFile(path, 'utf8');
  if (/^-----BEGIN (EC )?PRIVATE KEY-----/m.test(text)) return text;
  throw new ReleaseError(`${path} is not an unencrypted private key in the PEM format.`);
}
