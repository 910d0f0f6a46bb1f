import type { SecretValue } from './secret-value.ts';

/** A random value with this many bits does not occur twice by chance. Words, numbers and names have fewer. */
const ENOUGH_BITS = 44;

/** Words in lower case are usual for names of hosts, databases and environments, whatever their length. */
const ENOUGH_BITS_OF_WORDS = 88;

const FEWEST_BYTES = 8;
const FEWEST_DIFFERENT_BYTES = 6;

/**
 * Whether a value is so unlikely that two equal values have the same origin. Short values and values of few different
 * characters are not, such as `true`, a port, a user name or the name of a host.
 */
export function isDistinctive(value: SecretValue): boolean {
  if (value.size < FEWEST_BYTES) return false;
  const bytes = value.reveal();
  const counts = countsOf(bytes);
  if (counts.size < FEWEST_DIFFERENT_BYTES) return false;
  const enough = bytes.every(isWordByte) ? ENOUGH_BITS_OF_WORDS : ENOUGH_BITS;
  return bitsOf(counts, bytes.length) >= enough;
}

function countsOf(bytes: Uint8Array): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const byte of bytes) counts.set(byte, (counts.get(byte) ?? 0) + 1);
  return counts;
}

/** The entropy of the bytes, if each of them were chosen by its frequency. */
function bitsOf(counts: ReadonlyMap<number, number>, length: number): number {
  let bits = 0;
  for (const count of counts.values()) bits -= count * Math.log2(count / length);
  return bits;
}

/** Whether the byte is a lower case letter, `-`, `.` or `_`. */
function isWordByte(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || byte === 0x2d || byte === 0x2e || byte === 0x5f;
}
