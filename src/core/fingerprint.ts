import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SecretValue } from './secret-value.ts';
import { compareText, type TargetId } from './target.ts';

/**
 * `<key id>:<hex>`, where the hex part is an HMAC-SHA-256 (RFC 2104). The key is needed to check whether a guessed
 * value is correct.
 */
export type Fingerprint = string;

export interface Fingerprinter {
  readonly keyId: string;
  value(value: SecretValue): Fingerprint;
  target(id: TargetId, data: ReadonlyMap<string, SecretValue>): Fingerprint;
  /**
   * Whether the fingerprint belongs to the value. Fingerprints under older keys are recognized too. Undefined if the
   * key is unknown.
   */
  matches(fingerprint: string, value: SecretValue): boolean | undefined;
  /**
   * Whether the fingerprint belongs to the name and the data of a target. As in `matches`, fingerprints under older
   * keys are recognized, and the result is undefined if the key is unknown.
   */
  matchesTarget(
    fingerprint: string,
    id: TargetId,
    data: ReadonlyMap<string, SecretValue>,
  ): boolean | undefined;
}

/**
 * @param secret 32 bytes.
 * @param olderKeys The previous keys. They are only used to compare fingerprints.
 */
export function createFingerprinter(
  secret: SecretValue,
  olderKeys: readonly SecretValue[] = [],
): Fingerprinter {
  const olderFingerprinters = olderKeys.map((secretValue) => createFingerprinter(secretValue));
  // Create the key object only once. Passing the raw bytes would make each fingerprint take five times as long.
  const key = createSecretKey(secret.reveal());
  const keyId = idOf(key);
  const value = (secretValue: SecretValue): Fingerprint => `${keyId}:${hmac(key, ['value', secretValue])}`;
  const target = (id: TargetId, data: ReadonlyMap<string, SecretValue>): Fingerprint => {
    const parts: (string | SecretValue)[] = ['target', id.namespace, id.secret];
    for (const [name, part] of [...data].sort(([a], [b]) => compareText(a, b))) parts.push(name, part);
    return `${keyId}:${hmac(key, parts)}`;
  };
  const olderFingerprinterOf = (fingerprint: string) =>
    olderFingerprinters.find((fingerprinter) => fingerprinter.keyId === keyIdOf(fingerprint));
  return {
    keyId,
    value,
    target,
    matches: (fingerprint, secretValue) =>
      keyIdOf(fingerprint) === keyId
        ? fingerprint === value(secretValue)
        : olderFingerprinterOf(fingerprint)?.matches(fingerprint, secretValue),
    matchesTarget: (fingerprint, id, data) =>
      keyIdOf(fingerprint) === keyId
        ? fingerprint === target(id, data)
        : olderFingerprinterOf(fingerprint)?.matchesTarget(fingerprint, id, data),
  };
}

/** Returns the id that names a fingerprint key. The id reveals nothing about the key. */
export function fingerprintKeyId(secret: SecretValue): string {
  return idOf(createSecretKey(secret.reveal()));
}

function idOf(key: KeyObject): string {
  return hmac(key, ['key id']).slice(0, 8);
}

export function isFingerprint(text: string): boolean {
  return /^[0-9a-f]{8}:[0-9a-f]{64}$/.test(text);
}

export function keyIdOf(fingerprint: Fingerprint): string {
  return fingerprint.slice(0, 8);
}

/** A call of the hash takes longer than hashing a short part, so parts are joined up to this size in bytes. */
const CHUNK = 64 * 1024;

/** Each part is preceded by its length, so that different lists of parts never have the same bytes. */
function hmac(key: KeyObject, parts: readonly (string | SecretValue)[]): string {
  const hash = createHmac('sha256', key);
  let chunk: Uint8Array[] = [];
  let size = 0;
  for (const part of parts) {
    const bytes = part instanceof SecretValue ? part.reveal() : Buffer.from(part, 'utf8');
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(bytes.byteLength));
    chunk.push(length, bytes);
    size += length.byteLength + bytes.byteLength;
    if (size < CHUNK) continue;
    hash.update(Buffer.concat(chunk));
    [chunk, size] = [[], 0];
  }
  return hash.update(Buffer.concat(chunk)).digest('hex');
}

/** The fingerprints of more values take more than 20 ms. */
const MANY_VALUES = 5_000;

/** For many values: makes the fingerprints now, in steps that let the event loop run. */
export async function fingerprintsAhead(
  values: readonly SecretValue[],
  fingerprints: Fingerprinter,
): Promise<Fingerprinter> {
  if (values.length <= MANY_VALUES) return fingerprints;
  const known = new Map<SecretValue, Fingerprint>();
  for (const value of values) {
    if (known.size % MANY_VALUES === 0) await nextTurn();
    known.set(value, fingerprints.value(value));
  }
  await nextTurn();
  return { ...fingerprints, value: (value) => known.get(value) ?? fingerprints.value(value) };
}
