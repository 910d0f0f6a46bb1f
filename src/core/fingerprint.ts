import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { SecretValue } from './secret-value.ts';
import { compareText, type TargetId } from './target.ts';

/** `<key id>:<hex>`: HMAC-SHA-256 (RFC 2104), so that nobody without the key can test a guess. */
export type Fingerprint = string;

export interface Fingerprinter {
  readonly keyId: string;
  value(value: SecretValue): Fingerprint;
  target(id: TargetId, data: ReadonlyMap<string, SecretValue>): Fingerprint;
  /** Whether a fingerprint is that of a value, also one under an older key; undefined where no key of ours made it. */
  isOf(fingerprint: string, value: SecretValue): boolean | undefined;
  /** The same of a target's name and data. */
  isOfTarget(fingerprint: string, id: TargetId, data: ReadonlyMap<string, SecretValue>): boolean | undefined;
}

/**
 * @param secret 32 bytes.
 * @param older The keys before it, by which nothing is made any more.
 */
export function createFingerprinter(secret: SecretValue, older: readonly SecretValue[] = []): Fingerprinter {
  const before = older.map((it) => createFingerprinter(it));
  // Made once: with the bytes themselves each fingerprint would take five times as long.
  const key = createSecretKey(secret.reveal());
  const keyId = hmac(key, 'key id').slice(0, 8);
  const value = (of: SecretValue): Fingerprint => `${keyId}:${hmac(key, 'value', of)}`;
  const target = (id: TargetId, data: ReadonlyMap<string, SecretValue>): Fingerprint => {
    const parts: (string | SecretValue)[] = ['target', id.namespace, id.secret];
    for (const [name, part] of [...data].sort(([a], [b]) => compareText(a, b))) parts.push(name, part);
    return `${keyId}:${hmac(key, ...parts)}`;
  };
  const olderOf = (fingerprint: string) => before.find((it) => it.keyId === keyIdOf(fingerprint));
  return {
    keyId,
    value,
    target,
    isOf: (fingerprint, of) =>
      keyIdOf(fingerprint) === keyId
        ? fingerprint === value(of)
        : olderOf(fingerprint)?.isOf(fingerprint, of),
    isOfTarget: (fingerprint, id, data) =>
      keyIdOf(fingerprint) === keyId
        ? fingerprint === target(id, data)
        : olderOf(fingerprint)?.isOfTarget(fingerprint, id, data),
  };
}

export function isFingerprint(text: string): boolean {
  return /^[0-9a-f]{8}:[0-9a-f]{64}$/.test(text);
}

export function keyIdOf(fingerprint: Fingerprint): string {
  return fingerprint.slice(0, 8);
}

/** Each part is preceded by its length, so that no two lists of parts give the same bytes. */
function hmac(key: KeyObject, ...parts: readonly (string | SecretValue)[]): string {
  const hash = createHmac('sha256', key);
  for (const part of parts) {
    const bytes = part instanceof SecretValue ? part.reveal() : Buffer.from(part, 'utf8');
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(bytes.byteLength));
    hash.update(length).update(bytes);
  }
  return hash.digest('hex');
}
