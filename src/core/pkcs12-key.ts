import { hash } from 'node:crypto';

/** The block and the output of SHA-1, in bytes. */
const BLOCK = 64;
const DIGEST = 20;

/** The use of a derived key. It is part of the hash, so that key and vector differ. */
export const PURPOSE = { key: 1, iv: 2 } as const;

export interface KeyInput {
  /** Undefined differs from an empty password: some tools derive keys from no password at all. */
  readonly password: string | undefined;
  readonly salt: Buffer;
  readonly iterations: number;
}

/**
 * Derives a key of the given length from a password with SHA-1 (RFC 7292, appendix B.2). OpenSSL hashes a password 20
 * times faster than the library does.
 */
export function derivePkcs12Key(
  { password, salt, iterations }: KeyInput,
  purpose: (typeof PURPOSE)[keyof typeof PURPOSE],
  length: number,
): Buffer {
  const input = Buffer.concat([repeat(salt), repeat(passwordBytes(password))]);
  const result = Buffer.alloc(Math.ceil(length / DIGEST) * DIGEST);
  for (let done = 0; done < length; done += DIGEST) {
    let digest = sha1(Buffer.concat([Buffer.alloc(BLOCK, purpose), input]));
    for (let round = 1; round < iterations; round += 1) digest = sha1(digest);
    digest.copy(result, done);
    addToBlocks(input, digest);
  }
  return result.subarray(0, length);
}

function sha1(bytes: Buffer): Buffer {
  return hash('sha1', bytes, 'buffer');
}

/** Encodes as UTF-16 in big-endian order with a final zero. */
function passwordBytes(password: string | undefined): Buffer {
  return password === undefined ? Buffer.alloc(0) : Buffer.from(`${password}\0`, 'utf16le').swap16();
}

/** Repeats the bytes up to the end of a block. */
function repeat(bytes: Buffer): Buffer {
  const length = Math.ceil(bytes.length / BLOCK) * BLOCK;
  return length === 0 ? Buffer.alloc(0) : Buffer.alloc(length, bytes);
}

/** Adds the repeated digest and one to each block, as numbers of 512 bits. */
function addToBlocks(input: Buffer, digest: Buffer): void {
  const addend = Buffer.alloc(BLOCK, digest);
  for (let start = 0; start < input.length; start += BLOCK) {
    let carry = 1;
    for (let at = BLOCK - 1; at >= 0; at -= 1) {
      const sum = (input[start + at] ?? 0) + (addend[at] ?? 0) + carry;
      input[start + at] = sum & 0xff;
      carry = sum >>> 8;
    }
  }
}
