import { expect, it } from 'vitest';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { append, largest, smallest } from '../../src/core/lists.ts';
import { SecretValue } from '../../src/core/secret-value.ts';

const MANY = Array.from({ length: 500_000 }, (_, index) => index);

it('a long list is added to another list, and its smallest and largest numbers are found', () => {
  const list = [-1];
  append(list, MANY);
  expect([list.length, list.at(-1)]).toEqual([500_001, 499_999]);
  expect([smallest(list), largest(list)]).toEqual([-1, 499_999]);
  expect([smallest([]), largest([])]).toEqual([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
});

it('a target with 200,000 keys has a fingerprint', () => {
  const fingerprints = createFingerprinter(SecretValue.fromBytes(new Uint8Array(32)));
  const empty = SecretValue.fromText('');
  const data = new Map(MANY.slice(0, 200_000).map((n) => [`k${n}`, empty]));
  const id = { namespace: 'a', secret: 's' };
  expect(fingerprints.matchesTarget(fingerprints.target(id, data), id, data)).toBe(true);
});
