import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';
import { digestOf, matchesDigest, parseSignature } from '../../src/events/webhook.ts';

const bytes = fc.uint8Array({ maxLength: 200 });
const time = fc.nat({ max: 4_000_000_000 }).map(String);
const key = fc.uint8Array({ minLength: 1, maxLength: 64 });

function hex(of: Uint8Array, at: string, body: Uint8Array): string {
  return createHmac('sha256', of)
    .update(Buffer.concat([Buffer.from(`${at}.`), body]))
    .digest('hex');
}

function accepts(header: string, of: Uint8Array, body: Uint8Array): boolean {
  const signature = parseSignature(header);
  if (signature === undefined) return false;
  return matchesDigest(signature, digestOf(SecretValue.fromBytes(of), signature.time, body));
}

/** Flips one bit. */
function flipped(of: Uint8Array, bit: number): Uint8Array {
  const next = Uint8Array.from(of);
  const index = Math.floor(bit / 8) % next.length;
  next[index] = (next[index] ?? 0) ^ (1 << (bit % 8));
  return next;
}

it('a valid signature is accepted even if the header contains other signatures', () => {
  const others = fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 3 });
  fc.assert(
    fc.property(key, time, bytes, others, others, (secret, at, body, before, after) => {
      const all = [...before.map(asHex), hex(secret, at, body), ...after.map(asHex)];
      const header = [`t=${at}`, ...all.map((one) => `v1=${one}`)].join(',');
      expect(accepts(header, secret, body)).toBe(true);
    }),
  );
});

it('a signature is rejected after any bit flip in the body, key, signature or time', () => {
  fc.assert(
    fc.property(
      key,
      time,
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      fc.nat({ max: 10_000 }),
      (secret, at, body, bit) => {
        const digest = hex(secret, at, body);
        const header = `t=${at},v1=${digest}`;
        expect(accepts(header, secret, flipped(body, bit))).toBe(false);
        expect(accepts(header, flipped(secret, bit), body)).toBe(false);
        expect(accepts(`t=${at},v1=${asHex(flipped(Buffer.from(digest, 'hex'), bit))}`, secret, body)).toBe(
          false,
        );
        const other = Buffer.from(flipped(Buffer.from(at), bit)).toString('latin1');
        expect(accepts(`t=${other},v1=${digest}`, secret, body)).toBe(false);
      },
    ),
  );
});

it('any text is either parsed as a signature header or rejected, without an exception', () => {
  const part = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('t=1', 't=', 'v1=', 'v1', '=', 't', ' t = 1'),
  );
  fc.assert(
    fc.property(fc.array(part), key, bytes, (parts, secret, body) => {
      expect(accepts(parts.join(','), secret, body)).toBe(false);
    }),
  );
});

function asHex(of: Uint8Array): string {
  return Buffer.from(of).toString('hex');
}
