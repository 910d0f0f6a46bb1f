import { createHmac, timingSafeEqual } from 'node:crypto';
import type { SecretValue } from '../core/secret-value.ts';

/** `t=<unix seconds>,v1=<hex HMAC-SHA-256 of "<t>.<body>">`; more than one `v1` while a key is rotated. */
export interface Signature {
  /** The text of the time: its bytes are signed. */
  readonly time: string;
  readonly digests: readonly Buffer[];
}

/** Each costs a comparison. */
const MOST_DIGESTS = 8;

/** Undefined for what is no such header. Parts of other names are left alone, for schemes to come. */
export function parseSignature(header: string): Signature | undefined {
  const times: string[] = [];
  const digests: Buffer[] = [];
  for (const part of header.split(',')) {
    const [name = '', value = ''] = part.trim().split('=', 2);
    if (name === 't') times.push(value);
    if (name === 'v1' && /^[0-9a-f]{64}$/i.test(value)) digests.push(Buffer.from(value, 'hex'));
  }
  const [time, second] = times;
  if (time === undefined || second !== undefined || !/^\d{1,12}$/.test(time)) return undefined;
  return digests.length === 0 || digests.length > MOST_DIGESTS ? undefined : { time, digests };
}

/** HMAC-SHA-256 (RFC 2104) of the time, a dot and the body. */
export function digestOf(key: SecretValue, time: string, body: Uint8Array): Buffer {
  return createHmac('sha256', key.reveal()).update(`${time}.`).update(body).digest();
}

/** All are compared, so that the time it takes says nothing about which one fits, or how much of it. */
export function holds({ digests }: Signature, digest: Buffer): boolean {
  return digests.filter((given) => timingSafeEqual(given, digest)).length > 0;
}
