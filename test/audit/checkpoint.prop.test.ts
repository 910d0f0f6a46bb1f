import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Checkpoint, checkpointLine, parseCheckpoints } from '../../src/audit/checkpoint/checkpoint.ts';
import { isAccepted, newestTrusted } from '../../src/audit/checkpoint/compare.ts';
import {
  createSigner,
  keyIdOf,
  keysById,
  parsePublicKeys,
  pemOf,
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
const signed = fc.tuple(unsigned, fc.constantFrom(ours, old)).map(([checkpoint, by]) => by.sign(checkpoint));
const at = (sequence: number, minute: number, more: Partial<Checkpoint> = {}, by = ours): Checkpoint =>
  by.sign({
    sequence,
    hash: String(sequence),
    time: new Date(minute * 60_000).toISOString(),
    instance: 'prod',
    ...more,
  });

describe('checkpoint signature', () => {
  it('a checkpoint signature is valid with any of the known keys after the checkpoint was serialized and parsed', () => {
    fc.assert(
      fc.property(signed, (checkpoint) => {
        const [back] = parseCheckpoints(checkpointLine(checkpoint));
        expect(back).toEqual(checkpoint);
        expect(signatureOf(checkpoint, keys)).toBe('good');
      }),
    );
  });

  it('a checkpoint signature is invalid if the content of the checkpoint was changed', () => {
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

  it.each(['', 'x', '!!', 'AAAA'])('a checkpoint signature with the text %j is invalid', (signature) => {
    expect(signatureOf({ ...at(1, 1), signature }, keys)).toBe('wrong');
  });

  it('a checkpoint signature has the state `unknown` if the public key of the signer is not available', () => {
    expect(signatureOf(at(1, 1, {}, foreign), keys)).toBe('unknown');
  });
});

describe('parseCheckpoints', () => {
  it('parseCheckpoints skips incomplete and empty lines, and finds checkpoints in lines of a log', () => {
    const [a, b] = [at(1, 1), at(2, 2)];
    const text = `${checkpointLine(a)}\n{"hash":"ab","signature":"to\n\nhello\n[]\n{"signature":1}\n2026-11-25 info {"checkpoint":${checkpointLine(b)}}\n`;
    expect(parseCheckpoints(text)).toEqual([a, b]);
  });
});

describe('newestTrusted', () => {
  it('newestTrusted returns the checkpoint with the highest sequence number', () => {
    expect(newestTrusted([at(20, 2), at(30, 3), at(28, 4)], keys).checkpoint?.sequence).toBe(30);
    expect(newestTrusted([], keys)).toEqual({ checkpoint: undefined, untrusted: [] });
  });

  it('newestTrusted ignores checkpoints that were signed before a person last accepted a loss of records', () => {
    expect(
      newestTrusted([at(20, 2), at(30, 3), at(16, 4, { accepts: 30 }), at(17, 5)], keys).checkpoint?.sequence,
    ).toBe(17);
  });

  it('newestTrusted skips checkpoints without a trusted signature, and returns these checkpoints separately', () => {
    const forged = { ...at(50, 9), sequence: 60 };
    const unknownKey = at(70, 9, {}, foreign);
    const { checkpoint, untrusted } = newestTrusted([at(20, 2), forged, unknownKey], keys);
    expect(checkpoint?.sequence).toBe(20);
    expect(untrusted).toEqual([unknownKey, forged]);
  });

  it('newestTrusted ignores a checkpoint that accepts a loss of records if the checkpoint has no trusted signature', () => {
    expect(newestTrusted([at(30, 3), at(5, 4, { accepts: 30 }, foreign)], keys).checkpoint?.sequence).toBe(
      30,
    );
  });
});

it('isAccepted returns true for a checkpoint only if it is older than the acceptance of a loss, and its sequence number is at most the accepted number', () => {
  const accepting = [at(16, 4, { accepts: 30 })];
  expect(isAccepted(at(30, 3), accepting)).toBe(true);
  expect(isAccepted(at(31, 3), accepting)).toBe(false);
  expect(isAccepted(at(26, 5), accepting)).toBe(false);
});

describe('parsePublicKeys', () => {
  it('parsePublicKeys reads one key in base64, and several keys in PEM blocks', () => {
    const text = `# ours\n${pemOf(ours.publicKey)}\n${pemOf(old.publicKey)}`;
    expect(parsePublicKeys(text).map(keyIdOf)).toEqual([ours.keyId, old.keyId]);
    const base64 = ours.publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
    expect(parsePublicKeys(`${base64}\n`).map(keyIdOf)).toEqual([ours.keyId]);
  });

  it('parsePublicKeys returns nothing for keys of another type, and for text without a key', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1_024 });
    expect(parsePublicKeys(pemOf(publicKey))).toEqual([]);
    for (const text of [
      '',
      'x',
      'A'.repeat(60),
      '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----',
    ])
      expect(parsePublicKeys(text)).toEqual([]);
  });
});
