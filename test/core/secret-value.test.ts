import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';

it('a SecretValue encodes a text as UTF-8, even if the text is not well-formed', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom('\ud800', 'a', 'é') })),
      (text) => {
        expect(Buffer.from(SecretValue.fromText(text).reveal())).toEqual(Buffer.from(text, 'utf8'));
      },
    ),
  );
});

it("a SecretValue copies bytes out of Node's buffer pool", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(8_192), (some, more) => {
      const bytes = Buffer.concat([some, Buffer.alloc(more, 7)]);
      for (const value of [SecretValue.fromBytes(bytes), SecretValue.fromText(bytes.toString('latin1'))]) {
        const own = value.reveal();
        expect(own.buffer.byteLength).toBe(own.byteLength);
      }
      expect(Buffer.from(SecretValue.fromBytes(bytes).reveal())).toEqual(bytes);
    }),
  );
});

it('a SecretValue returns its bytes as text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(8_192), (some, more) => {
      const bytes = Buffer.concat([some, Buffer.alloc(more, 7)]);
      const value = SecretValue.fromBytes(bytes);
      expect(value.revealText()).toBe(bytes.toString('utf8'));
      for (const encoding of ['latin1', 'base64'] as const)
        expect(value.revealText(encoding)).toBe(bytes.toString(encoding));
    }),
  );
});
