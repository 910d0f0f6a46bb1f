import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { link, open, readFile, rm, stat } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import {
  createSigner,
  keysById,
  type PublicKeys,
  pemOf,
  parsePublicKeys,
  type Signer,
} from '../audit/checkpoint/signing.ts';
import { withFileErrors } from '../audit/errors.ts';
import { AppError } from '../core/errors.ts';
import { createFingerprinter, type Fingerprinter } from '../core/fingerprint.ts';
import { makeFolder } from '../core/folders.ts';
import { SecretValue } from '../core/secret-value.ts';
import { readFailureReason } from '../core/small-file.ts';
import { codeOf } from '../core/system-errors.ts';
import { describeReference, type Reference } from '../providers/credentials.ts';

export interface KeyDeps {
  /**
   * Whether a key file that is not there is made: beside a SQLite store, where no second replica could make another.
   */
  readonly mayCreate: boolean;
  readonly credential: (reference: Reference) => Promise<SecretValue>;
}

/** Makes fingerprints by the newest key, and understands those of the others. */
export async function openFingerprints(
  [newest, ...older]: readonly Reference[],
  deps: KeyDeps,
): Promise<Fingerprinter> {
  const key = await fingerprintKey(newest === undefined ? [] : [newest], deps);
  return createFingerprinter(key, await fingerprintKeys(older, deps));
}

/** The newest key of the fingerprints: 32 random bytes, kept as base64 text. */
export async function fingerprintKey([reference]: readonly Reference[], deps: KeyDeps): Promise<SecretValue> {
  if (reference === undefined) throw new AppError('CREDENTIAL_MISSING', { subject: 'keys.fingerprint' });
  if (deps.mayCreate && 'file' in reference)
    await createKeyFile(reference.file, 'keys.fingerprint', () => randomBytes(32).toString('base64'));
  return readKey(reference, deps);
}

/** All keys that fingerprints were made with, the newest first. Makes none. */
export function fingerprintKeys(
  references: readonly Reference[],
  deps: Pick<KeyDeps, 'credential'>,
): Promise<readonly SecretValue[]> {
  return Promise.all(references.map((reference) => readKey(reference, deps)));
}

async function readKey(reference: Reference, deps: Pick<KeyDeps, 'credential'>): Promise<SecretValue> {
  const text = (await deps.credential(reference)).revealText('latin1').trim();
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== 32 || bytes.toString('base64') !== text)
    throw new AppError('CREDENTIAL_MISSING', {
      subject: 'keys.fingerprint',
      detail: `${describeReference(reference)} does not hold 32 bytes as base64 text`,
    });
  return SecretValue.fromBytes(bytes);
}

export interface CheckpointKeys {
  readonly signer: Signer;
  /** The signer's, and those that signed before it. */
  readonly known: PublicKeys;
}

/**
 * The key that signs checkpoints, an Ed25519 private key as PKCS#8 PEM. The public keys of those before it are
 * understood too: PEM blocks that follow it in the same text, or in the file beside its own that ends in `.pub`, to
 * which the one in use is added.
 */
export async function checkpointKeys(reference: Reference, deps: KeyDeps): Promise<CheckpointKeys> {
  if (deps.mayCreate && 'file' in reference)
    await createKeyFile(reference.file, CHECKPOINT, () => {
      const { privateKey } = generateKeyPairSync('ed25519');
      return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().trim();
    });
  const { text, signer } = await readSigner(reference, deps);
  const previousKeys = 'file' in reference ? await rememberPublicKey(reference.file, signer) : [];
  return { signer, known: keysById([...parsePublicKeys(text), ...previousKeys, signer.publicKey]) };
}

/** The key that signs, as it is there. */
export async function readSigner(
  reference: Reference,
  { credential }: Pick<KeyDeps, 'credential'>,
): Promise<{ readonly text: string; readonly signer: Signer }> {
  const text = (await credential(reference)).revealText('latin1');
  return { text, signer: createSigner(privateKeyIn(text)) };
}

/** The public keys that checkpoints may be signed with, as far as they are there. Makes and changes nothing. */
export async function knownCheckpointKeys(
  reference: Reference,
  { credential }: Pick<KeyDeps, 'credential'>,
): Promise<PublicKeys> {
  const list = 'file' in reference ? publicKeyListPath(reference.file) : undefined;
  const previousKeys =
    list !== undefined && (await exists(list)) ? parsePublicKeys(await readFile(list, 'utf8')) : [];
  try {
    const { text, signer } = await readSigner(reference, { credential });
    return keysById([...parsePublicKeys(text), ...previousKeys, signer.publicKey]);
  } catch (error) {
    // Whoever verifies need not be able to sign.
    if (error instanceof AppError && error.code === 'CREDENTIAL_MISSING') return keysById(previousKeys);
    throw error;
  }
}

const CHECKPOINT = 'keys.checkpoint';

function privateKeyIn(text: string): KeyObject {
  const detail = 'it is not an Ed25519 private key as PKCS#8 PEM';
  const [pem] = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/.exec(text) ?? [];
  if (pem === undefined) throw new AppError('CREDENTIAL_MISSING', { subject: CHECKPOINT, detail });
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (error) {
    // OpenSSL's word for what is no key.
    if (!codeOf(error)?.startsWith('ERR_')) throw error;
  }
  throw new AppError('CREDENTIAL_MISSING', { subject: CHECKPOINT, detail });
}

const CHECK_FOLDER =
  'Check that the folder of `keys.checkpoint` can be read and written, and that its disk is not full.';

/** `checkpoint.key` has its list in `checkpoint.pub`. */
function publicKeyListPath(path: string): string {
  return `${path.slice(0, path.length - extname(path).length)}.pub`;
}

/** Where nothing can be written, whoever provides the key provides the list as well. */
async function rememberPublicKey(path: string, signer: Signer): Promise<readonly KeyObject[]> {
  const list = publicKeyListPath(path);
  const keys = (await exists(list)) ? parsePublicKeys(await readFile(list, 'utf8')) : [];
  if (keysById(keys).has(signer.keyId)) return keys;
  try {
    await using file = await open(list, 'a', 0o644);
    await file.appendFile(pemOf(signer.publicKey));
    await file.sync();
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error) ?? '')) return keys;
    const about = `file ${list}`;
    await withFileErrors({ what: 'the list of public keys', about, todo: CHECK_FOLDER }, () =>
      Promise.reject(error),
    );
  }
  return keys;
}

/** All or nothing, and once: of two processes that start together both use the key of the faster one. */
async function createKeyFile(path: string, about: string, content: () => string): Promise<void> {
  try {
    // First, since a key that was provided may lie in a folder that cannot be written.
    if (await exists(path)) return;
    await makeFolder(dirname(path));
    const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`;
    try {
      await writeDurably(draft, `${content()}\n`);
      await link(draft, path);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    } finally {
      await rm(draft, { force: true });
    }
  } catch (cause) {
    const detail = `file ${path} is not there and cannot be made: ${readFailureReason(cause) ?? 'unknown'}`;
    throw new AppError('CREDENTIAL_MISSING', { subject: about, detail, cause });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(text);
  await file.sync();
}
