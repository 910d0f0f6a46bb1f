import { createHmac, timingSafeEqual } from 'node:crypto';
import type { SecretValue } from '../core/secret-value.ts';

/**
 * A parsed signature header, `t=<unix seconds>,v1=<hex HMAC-SHA-256 of "<t>.<body>">`. There may be several `v1` parts
 * during a key rotation.
 */
export interface Signature {
  /** Kept as text, because the signature covers its exact bytes. */
  readonly time: string;
  readonly digests: readonly Buffer[];
}

/** Limits the number of comparisons. */
const MAX_DIGESTS = 8;

/**
 * Returns undefined if the header is malformed. Ignores unknown parts, because future signature schemes may add them.
 */
export function parseSignature(header: string): Signature | undefined {
  const times: string[] = [];
  const digests: Buffer[] = [];
  for (const part of header.split(',')) {
    const [name = '', value = ''] = part.trim().split('=', 2);
    if (name === 't') times.push(value);
    if (name === 'v1' && /^[0-9a-f]{64}$/i.test(value)) digests.push(Buffer.from(value, 'hex'));
  }
  const [time, duplicateTime] = times;
  if (time === undefined || duplicateTime !== undefined || !/^\d{1,12}$/.test(time)) return undefined;
  return digests.length === 0 || digests.length > MAX_DIGESTS ? undefined : { time, digests };
}

/** Returns the HMAC-SHA-256 (RFC 2104) of the time, a dot and the body. */
export function digestOf(key: SecretValue, time: string, body: Uint8Array): Buffer {
  return createHmac('sha256', key.reveal()).update(`${time}.`).update(body).digest();
}

/** Compares all digests in constant time. So the timing reveals neither the matching digest nor a matching prefix. */
export function matchesDigest({ digests }: Signature, digest: Buffer): boolean {
  return digests.filter((candidate) => timingSafeEqual(candidate, digest)).length > 0;
}
