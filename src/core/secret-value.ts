import { timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';

const SHOWN = '[secret]';

/**
 * Bytes that must not be seen. Printing, joining or serialising one gives `[secret]`; `reveal()` gives the
 * bytes, and `test/architecture.test.ts` lists the few files that may call it.
 */
export class SecretValue {
  readonly #bytes: Uint8Array;

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  static fromBytes(bytes: Uint8Array): SecretValue {
    return new SecretValue(bytes);
  }

  static fromText(text: string): SecretValue {
    return new SecretValue(Buffer.from(text, 'utf8'));
  }

  /** In bytes. */
  get size(): number {
    return this.#bytes.byteLength;
  }

  equals(other: SecretValue): boolean {
    return this.size === other.size && timingSafeEqual(this.#bytes, other.#bytes);
  }

  reveal(): Uint8Array {
    return this.#bytes;
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
