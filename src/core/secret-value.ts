import { timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';

const REDACTED = '[secret]';
const UTF8 = new TextEncoder();
/** Node allocates smaller buffers from a shared pool. */
const POOLED_BELOW = Buffer.poolSize / 2;

/**
 * Bytes that must not be exposed. Printing, joining or serializing a SecretValue produces `[secret]`. Only `reveal()`
 * and `revealText()` return the bytes. `test/architecture.test.ts` lists the few files that may call them.
 */
export class SecretValue {
  readonly #bytes: Uint8Array;

  /**
   * @param bytes Must not be a view into a larger buffer. Such a buffer would stay in memory, and other views could
   * read it.
   */
  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  static fromBytes(bytes: Uint8Array): SecretValue {
    return new SecretValue(bytes.byteLength < POOLED_BELOW ? new Uint8Array(bytes) : bytes);
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

  /**
   * Removes the final newline that editors and `kubectl create secret --from-file` add. Credentials never end with a
   * newline.
   */
  withoutFinalNewline(): SecretValue {
    if (this.#bytes.at(-1) !== 0x0a) return this;
    return SecretValue.fromBytes(this.#bytes.slice(0, this.#bytes.at(-2) === 0x0d ? -2 : -1));
  }

  reveal(): Uint8Array {
    return this.#bytes;
  }

  /** Returns the bytes as text, without an intermediate copy. */
  revealText(encoding: 'utf8' | 'latin1' | 'base64' = 'utf8'): string {
    const { buffer, byteOffset, byteLength } = this.#bytes;
    return Buffer.from(buffer, byteOffset, byteLength).toString(encoding);
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
