import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/audit/checkpoint/checkpoint.ts';
import { checkpointsIn, lineOf } from '../../src/audit/checkpoint/lines.ts';
import { isAccepted, newestOf } from '../../src/audit/checkpoint/order.ts';
import {
  createSigner,
  keyIdOf,
  keysById,
  pemOf,
  publicKeysIn,
  signatureOf,
} from '../../src/audit/checkpoint/signing.ts';

const [ours, old, foreign] = [1, 2, 3].map(() => createSigner(generateKeyPairSync('ed25519').privateKey));
if (ours === undefined || old === undefined || foreign === undefined) throw new Error('no keys');
const keys = keysById([ours.publicKey, old.publicKey]);

const unsigned = fc.record(
  {
    sequence: fc.integer({ min: 1, max: 1_000 }),
    hash: fc.constantFrom('a'.repeat(64), 'b'.repeat(64)),
    time: fc
      .date({ min: new Date(0), max: new Date(1e13), noInvalidDate: true })
      .map((date) => date.toISOString()),
    instance: fc.constantFrom('prod', 'ü🔑'),
    accepts: fc.integer({ min: 1, max: 1_000 }),
  },
  { requiredKeys: ['sequence', 'hash', 'time', 'instance'] },
);
const signed = fc.tuple(unsigned, fc.constantFrom(ours, old)).map(([it, by]) => by.sign(it));
const at = (sequence: number, minute: number, more: Partial<Checkpoint> = {}, by = ours): Checkpoint =>
  by.sign({
    sequence,
    hash: String(sequence),
    time: new Date(minute * 60_000).toISOString(),
    instance: 'prod',
    ...more,
  });

describe('a signature', () => {
  it('is good for what was signed, by any known key, after a journey through a line', () => {
    fc.assert(
      fc.property(signed, (checkpoint) => {
        const [back] = checkpointsIn(lineOf(checkpoint));
        expect(back).toEqual(checkpoint);
        expect(signatureOf(checkpoint, keys)).toBe('good');
      }),
    );
  });

  it('is wrong for anything else', () => {
    const change = fc.constantFrom(
      { sequence: 4_711 },
      { hash: 'c' },
      { time: 'x' },
      { instance: 'y' },
      { accepts: 9_999 },
      { extra: 1 },
    );
    fc.assert(
      fc.property(signed, change, (checkpoint, part) => {
        expect(signatureOf({ ...checkpoint, ...part }, keys)).toBe('wrong');
      }),
    );
  });

  it.each(['', 'x', '!!', 'AAAA'])('is wrong when it is %j', (signature) => {
    expect(signatureOf({ ...at(1, 1), signature }, keys)).toBe('wrong');
  });

  it('is unknown by a key that is not at hand', () => {
    expect(signatureOf(at(1, 1, {}, foreign), keys)).toBe('unknown');
  });
});

describe('the lines of a place', () => {
  it('may be torn, empty, or those of a log', () => {
    const [a, b] = [at(1, 1), at(2, 2)];
    const text = `${lineOf(a)}\n{"hash":"ab","signature":"to\n\nhello\n[]\n{"signature":1}\n2026-11-25 info {"checkpoint":${lineOf(b)}}\n`;
    expect(checkpointsIn(text)).toEqual([a, b]);
  });
});

describe('the newest checkpoint', () => {
  it('is the one that went furthest', () => {
    expect(newestOf([at(20, 2), at(30, 3), at(28, 4)], keys).checkpoint?.sequence).toBe(30);
    expect(newestOf([], keys)).toEqual({ checkpoint: undefined, untrusted: [] });
  });

  it('is one since the last acceptance, after which sequences repeat', () => {
    expect(
      newestOf([at(20, 2), at(30, 3), at(16, 4, { accepts: 30 }), at(17, 5)], keys).checkpoint?.sequence,
    ).toBe(17);
  });

  it('is never one that nobody of ours signed; what was passed over is told', () => {
    const forged = { ...at(50, 9), sequence: 60 };
    const strange = at(70, 9, {}, foreign);
    const { checkpoint, untrusted } = newestOf([at(20, 2), forged, strange], keys);
    expect(checkpoint?.sequence).toBe(20);
    expect(untrusted).toEqual([strange, forged]);
  });

  it('is not hidden by an acceptance that nobody of ours signed', () => {
    expect(newestOf([at(30, 3), at(5, 4, { accepts: 30 }, foreign)], keys).checkpoint?.sequence).toBe(30);
  });
});

it('an acceptance covers what was signed before it and no further than it says', () => {
  const accepting = [at(16, 4, { accepts: 30 })];
  expect(isAccepted(at(30, 3), accepting)).toBe(true);
  expect(isAccepted(at(31, 3), accepting)).toBe(false);
  expect(isAccepted(at(26, 5), accepting)).toBe(false);
});

describe('public keys', () => {
  it('are read as PEM, several in one text, and as base64', () => {
    const text = `# ours\n${pemOf(ours.publicKey)}\n${pemOf(old.publicKey)}`;
    expect(publicKeysIn(text).map(keyIdOf)).toEqual([ours.keyId, old.keyId]);
    const base64 = ours.publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
    expect(publicKeysIn(`${base64}\n`).map(keyIdOf)).toEqual([ours.keyId]);
  });

  it('are Ed25519 only, and anything else is none', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1_024 });
    expect(publicKeysIn(pemOf(publicKey))).toEqual([]);
    for (const text of [
      '',
      'x',
      'A'.repeat(60),
      '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----',
    ])
      expect(publicKeysIn(text)).toEqual([]);
  });
});
