import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { fingerprintKeyId, isFingerprint } from '../core/fingerprint.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { canonicalOrEmpty } from './chain.ts';

/**
 * `authentic`: a process with one of our keys wrote the record. `edited`: the record is not what that process wrote.
 * `unverifiable`: the record has no HMAC, or an HMAC under a key that is not known here.
 */
export type Authenticity = 'authentic' | 'edited' | 'unverifiable';

/**
 * The keys that authenticate records. The database does not hold them, so write access to the database is not enough to
 * forge a record.
 */
export interface RecordKeys {
  /** Returns the HMAC of a record as `<key id>:<hex>`. @param text The canonical JSON without `hash` and `hmac`. */
  sign(text: string): string;
  /** Checks a record with all of its members. Members that this release does not know count too. */
  check(record: object): Authenticity;
}

/** The purpose of the derived key (RFC 5869). It keeps fingerprints and HMACs of records apart. */
const PURPOSE = 'secretbridge/audit-record';

/** @param secrets The fingerprint keys, the newest first. The newest key signs, and all keys check. */
export function createRecordKeys(secrets: readonly [SecretValue, ...SecretValue[]]): RecordKeys {
  const keys = new Map(secrets.map((secret) => [fingerprintKeyId(secret), derived(secret)]));
  const [newest] = secrets;
  const signing = { id: fingerprintKeyId(newest), key: derived(newest) };
  return {
    sign: (text) => `${signing.id}:${hmacOf(signing.key, text).toString('hex')}`,
    check(record) {
      const { hash: _, hmac, ...rest } = record as { readonly hash?: unknown; readonly hmac?: unknown };
      if (hmac === undefined) return 'unverifiable';
      if (typeof hmac !== 'string' || !isFingerprint(hmac)) return 'edited';
      const key = keys.get(hmac.slice(0, KEY_ID_LENGTH));
      if (key === undefined) return 'unverifiable';
      const given = Buffer.from(hmac.slice(KEY_ID_LENGTH + 1), 'hex');
      return timingSafeEqual(given, hmacOf(key, canonicalOrEmpty(rest))) ? 'authentic' : 'edited';
    },
  };
}

const KEY_ID_LENGTH = 8;

function derived(secret: SecretValue): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret.reveal(), '', PURPOSE, 32)));
}

function hmacOf(key: KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest();
}
