import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { fingerprintKeyId } from './fingerprint.ts';
import type { SecretValue } from './secret-value.ts';

/**
 * Encrypts what a client keeps for the service, such as a session. The client can neither read nor change it. Each
 * replica can open what another replica has sealed, because replicas share the fingerprint keys.
 */
export interface Sealer {
  /** @param purpose A text that is sealed for one purpose cannot be opened for another one. */
  seal(purpose: string, content: object): string;
  /** Returns undefined for a text that no replica has sealed for this purpose with a known key. */
  open(purpose: string, text: string): unknown;
}

/** The purpose of the derived key (RFC 5869). It keeps sealed texts apart from fingerprints and HMACs of records. */
const PURPOSE = 'secretbridge/sealed';
const CIPHER = 'aes-256-gcm';
const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** @param secrets The fingerprint keys, the newest first. The newest key seals, and all keys open. */
export function createSealer(secrets: readonly [SecretValue, ...SecretValue[]]): Sealer {
  const keys = new Map(secrets.map((secret) => [fingerprintKeyId(secret), derivedKey(secret)]));
  const [newest] = secrets;
  const sealing = { id: Buffer.from(fingerprintKeyId(newest), 'hex'), key: derivedKey(newest) };
  return {
    seal(purpose, content) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, sealing.key, nonce).setAAD(Buffer.from(purpose));
      const encrypted = Buffer.concat([cipher.update(JSON.stringify(content), 'utf8'), cipher.final()]);
      return Buffer.concat([sealing.id, nonce, cipher.getAuthTag(), encrypted]).toString('base64url');
    },
    open(purpose, text) {
      const bytes = Buffer.from(text, 'base64url');
      const [keyId, nonce, tag, encrypted] = split(bytes);
      const key = keys.get(keyId.toString('hex'));
      // Compare the encoding, because the decoder ignores invalid characters.
      if (key === undefined || tag.length < TAG_BYTES || bytes.toString('base64url') !== text)
        return undefined;
      const decipher = createDecipheriv(CIPHER, key, nonce).setAAD(Buffer.from(purpose)).setAuthTag(tag);
      const content = decipher.update(encrypted);
      try {
        return JSON.parse(Buffer.concat([content, decipher.final()]).toString('utf8'));
      } catch (error) {
        // The text was changed, or was sealed for another purpose.
        if (error instanceof Error) return undefined;
        throw error;
      }
    },
  };
}

function split(bytes: Buffer): readonly [keyId: Buffer, nonce: Buffer, tag: Buffer, encrypted: Buffer] {
  const nonceAt = KEY_ID_BYTES;
  const tagAt = nonceAt + NONCE_BYTES;
  const contentAt = tagAt + TAG_BYTES;
  return [
    bytes.subarray(0, nonceAt),
    bytes.subarray(nonceAt, tagAt),
    bytes.subarray(tagAt, contentAt),
    bytes.subarray(contentAt),
  ];
}

function derivedKey(secret: SecretValue): Buffer {
  return Buffer.from(hkdfSync('sha256', secret.reveal(), '', PURPOSE, 32));
}
