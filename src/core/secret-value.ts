import { timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';

const SHOWN = '[secret]';
const UTF8 = new TextEncoder();
/** Up to half of its pool, Node cuts a buffer out of 8 KiB that it shares with others. */
const MAY_BE_SHARED = Buffer.poolSize / 2;

/**
 * Bytes that must not be seen. Printing, joining or serialising one gives `[secret]`; `reveal()` and
 * `revealText()` show the bytes, and `test/architecture.test.ts` lists the few files that may call them.
 */
export class SecretValue {
  readonly #bytes: Uint8Array;

  /** @param bytes Not a piece of something larger, which would be held, and seen by whoever has another piece of it. */
  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  static fromBytes(bytes: Uint8Array): SecretValue {
    return new SecretValue(bytes.byteLength < MAY_BE_SHARED ? new Uint8Array(bytes) : bytes);
  }

  static fromText(text: string): SecretValue {
    const bytes = new Uint8Array(Buffer.byteLength(text));
    UTF8.encodeInto(text, bytes);
    return new SecretValue(bytes);
  }

  /** In bytes. */
  get size(): number {
    return this.#bytes.byteLength;
  }

  equals(other: SecretValue): boolean {
    return this.size === other.size && timingSafeEqual(this.#bytes, other.#bytes);
  }

  /** Without what editors and `kubectl create secret --from-file` leave at the end, and no credential means. */
  withoutFinalNewline(): SecretValue {
    if (this.#bytes.at(-1) !== 0x0a) return this;
    return SecretValue.fromBytes(this.#bytes.slice(0, this.#bytes.at(-2) === 0x0d ? -2 : -1));
  }

  reveal(): Uint8Array {
    return this.#bytes;
  }

  /** The bytes as text, without a copy of them in between. */
  revealText(encoding: 'utf8' | 'latin1' | 'base64' = 'utf8'): string {
    const { buffer, byteOffset, byteLength } = this.#bytes;
    return Buffer.from(buffer, byteOffset, byteLength).toString(encoding);
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  [inspect.custom](): string {
    return SHOWN;
  }
}
