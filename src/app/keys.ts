import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { link, open, readFile, rm, stat } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import {
  createSigner,
  keysById,
  type PublicKeys,
  parsePublicKeys,
  pemOf,
  type Signer,
} from '../audit/checkpoint/signing.ts';
import { withFileErrors } from '../audit/errors.ts';
import { createRecordKeys, type RecordKeys } from '../audit/record-keys.ts';
import { AppError } from '../core/errors.ts';
import { createFingerprinter, type Fingerprinter } from '../core/fingerprint.ts';
import { makeFolder } from '../core/folders.ts';
import { createSealer, type Sealer } from '../core/sealer.ts';
import { SecretValue } from '../core/secret-value.ts';
import { readFailureReason } from '../core/small-file.ts';
import { codeOf } from '../core/system-errors.ts';
import { describeReference, type ReadCredential, type Reference } from '../providers/credentials.ts';

export interface KeyDeps {
  /**
   * Whether to create a missing key file. Allowed only with a SQLite store, because then there is only one replica.
   * With several replicas, each replica could create a different key.
   */
  readonly mayCreate: boolean;
  readonly credential: ReadCredential;
}

/** The uses of the fingerprint keys. */
export interface InstallationKeys {
  /** Creates fingerprints with the newest key, and verifies fingerprints of all keys. */
  readonly fingerprints: Fingerprinter;
  /** Signs records with the newest key, and checks records of all keys. */
  readonly records: RecordKeys;
  /** Encrypts sessions. */
  readonly sealer: Sealer;
}

/** Reads the fingerprint keys. */
export async function openKeys(
  [newest, ...older]: readonly Reference[],
  deps: KeyDeps,
): Promise<InstallationKeys> {
  const key = await fingerprintKey(newest === undefined ? [] : [newest], deps);
  const olderKeys = await fingerprintKeys(older, deps);
  return {
    fingerprints: createFingerprinter(key, olderKeys),
    records: createRecordKeys([key, ...olderKeys]),
    sealer: createSealer([key, ...olderKeys]),
  };
}

/**
 * Returns the available fingerprint keys, to check the HMACs of records. Creates nothing. Undefined if there is none.
 * @param isRequired Whether a missing key is an error.
 */
export async function knownRecordKeys(
  references: readonly Reference[],
  { credential, isRequired }: Pick<KeyDeps, 'credential'> & { readonly isRequired: boolean },
): Promise<RecordKeys | undefined> {
  const results = await Promise.allSettled(references.map((reference) => readKey(reference, { credential })));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined && (isRequired || !isMissingCredential(failed.reason))) throw failed.reason;
  const [newest, ...older] = results.flatMap((result) =>
    result.status === 'fulfilled' ? [result.value] : [],
  );
  return newest && createRecordKeys([newest, ...older]);
}

function isMissingCredential(thrown: unknown): boolean {
  return thrown instanceof AppError && thrown.code === 'CREDENTIAL_MISSING';
}

/** Returns the newest fingerprint key: 32 random bytes, stored as base64 text. */
export async function fingerprintKey([reference]: readonly Reference[], deps: KeyDeps): Promise<SecretValue> {
  if (reference === undefined) throw new AppError('CREDENTIAL_MISSING', { subject: 'keys.fingerprint' });
  if (deps.mayCreate && 'file' in reference)
    await createKeyFile(reference.file, 'keys.fingerprint', () => randomBytes(32).toString('base64'));
  return readKey(reference, deps);
}

/** Returns all fingerprint keys, the newest first. Never creates a key. */
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
  /** The public keys of the current key and of earlier keys. */
  readonly publicKeys: PublicKeys;
}

/**
 * Loads the private key that signs checkpoints (Ed25519, PKCS#8 PEM) and the public keys of earlier signing keys. The
 * public keys are PEM blocks after the private key, or in the `.pub` file next to the key file. The current public key
 * is added to the `.pub` file.
 */
export async function checkpointKeys(reference: Reference, deps: KeyDeps): Promise<CheckpointKeys> {
  if (deps.mayCreate && 'file' in reference)
    await createKeyFile(reference.file, CHECKPOINT, () => {
      const { privateKey } = generateKeyPairSync('ed25519');
      return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().trim();
    });
  const { text, signer } = await readSigner(reference, deps);
  const previousKeys = 'file' in reference ? await rememberPublicKey(reference.file, signer) : [];
  return { signer, publicKeys: keysById([...parsePublicKeys(text), ...previousKeys, signer.publicKey]) };
}

/** Loads the signing key, which must exist. */
export async function readSigner(
  reference: Reference,
  { credential }: Pick<KeyDeps, 'credential'>,
): Promise<{ readonly text: string; readonly signer: Signer }> {
  const text = (await credential(reference)).revealText('latin1');
  return { text, signer: createSigner(privateKeyIn(text)) };
}

/** Returns the available public keys that verify checkpoints. Creates and changes nothing. */
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
    // A missing private key is no error here, because verification needs only public keys.
    if (isMissingCredential(error)) return keysById(previousKeys);
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
    // Errors of OpenSSL have codes that start with `ERR_`. Here such an error means that the key is invalid.
    if (!codeOf(error)?.startsWith('ERR_')) throw error;
  }
  throw new AppError('CREDENTIAL_MISSING', { subject: CHECKPOINT, detail });
}

const CHECK_FOLDER =
  'Check that the folder of `keys.checkpoint` is readable and writable, and that its disk is not full.';

/** Returns the path of the public keys: `checkpoint.pub` for `checkpoint.key`. */
function publicKeyListPath(path: string): string {
  return `${path.slice(0, path.length - extname(path).length)}.pub`;
}

/**
 * Adds the public key to the `.pub` file. If the folder is read-only, this is not possible, so the user must provide
 * the `.pub` file together with the key.
 */
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

/** Creates a key file atomically. If two processes start together, both use the same key. */
async function createKeyFile(path: string, about: string, content: () => string): Promise<void> {
  try {
    // Check first whether the file exists. An existing file may be in a read-only folder, where creating a file would
    // fail.
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
    const detail = `file ${path} does not exist and cannot be created: ${readFailureReason(cause) ?? 'unknown'}`;
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
