import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { canonical, canonicalOrEmpty } from '../chain.ts';
import type { Checkpoint } from './checkpoint.ts';

/** Maps the id of each key to the public key. */
export type PublicKeys = ReadonlyMap<string, KeyObject>;

export interface Signer {
  readonly keyId: string;
  readonly publicKey: KeyObject;
  sign(unsigned: Omit<Checkpoint, 'keyId' | 'signature'>): Checkpoint;
}

/** `unknown`: the public key of the signer is not available. */
export type SignatureState = 'good' | 'wrong' | 'unknown';

/** @param privateKey An Ed25519 key (RFC 8032). */
export function createSigner(privateKey: KeyObject): Signer {
  const publicKey = createPublicKey(privateKey);
  const keyId = keyIdOf(publicKey);
  return {
    keyId,
    publicKey,
    sign(unsigned) {
      const all = { ...unsigned, keyId };
      return { ...all, signature: sign(null, Buffer.from(canonical(all)), privateKey).toString('base64') };
    },
  };
}

/** Verifies the signature over all members of the checkpoint, including members that this release does not know. */
export function signatureOf(checkpoint: Checkpoint, keys: PublicKeys): SignatureState {
  const { signature, ...signed } = checkpoint;
  const key = keys.get(checkpoint.keyId);
  if (key === undefined) return 'unknown';
  const bytes = Buffer.from(signature, 'base64');
  return verify(null, Buffer.from(canonicalOrEmpty(signed)), key, bytes) ? 'good' : 'wrong';
}

export function keyIdOf(publicKey: KeyObject): string {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex').slice(0, 16);
}

export function keysById(keys: readonly KeyObject[]): PublicKeys {
  return new Map(keys.map((key) => [keyIdOf(key), key]));
}

/** Formats a key as PEM, which `audit verify --public-key` prints and `openssl` reads. */
export function pemOf(publicKey: KeyObject): string {
  return publicKey.export({ type: 'spki', format: 'pem' }).toString();
}

/** The prefix of every Ed25519 key in SPKI form (RFC 8410). The 32 bytes of the key follow it. */
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * Parses Ed25519 keys in PEM blocks, or a single key as base64 of its SPKI. Returns an empty list if the text contains
 * no key.
 */
export function parsePublicKeys(text: string): readonly KeyObject[] {
  const blocks = text.matchAll(/-----BEGIN PUBLIC KEY-----([^-]+)-----END PUBLIC KEY-----/g);
  const pemBlocks = Array.from(blocks, ([, base64 = '']) => base64);
  return (pemBlocks.length > 0 ? pemBlocks : [text]).flatMap((base64) => {
    const key = Buffer.from(base64, 'base64');
    const isOne = key.length === 44 && key.subarray(0, 12).equals(ED25519_SPKI);
    return isOne ? [createPublicKey({ key, format: 'der', type: 'spki' })] : [];
  });
}
