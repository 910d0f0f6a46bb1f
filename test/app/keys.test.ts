import { generateKeyPairSync } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkpointKeys, fingerprintKey, knownCheckpointKeys } from '../../src/app/keys.ts';
import { keyIdOf, pemOf, signatureOf } from '../../src/audit/checkpoint/signing.ts';
import { type Reference, resolveCredential } from '../../src/providers/credentials.ts';

let folder: string;
const credential = (reference: Reference) => resolveCredential(reference, { env: { KEY: BASE64 } });
const BASE64 = Buffer.alloc(32, 7).toString('base64');
const key = (reference: Reference, make = true) =>
  fingerprintKey([reference], { mayCreate: make, credential });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'secretbridge-keys-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe('fingerprint key', () => {
  it('a missing fingerprint key is created in a file that only its owner can access, and is reused afterwards', async () => {
    const file = join(folder, 'state', 'fingerprint.key');
    const first = await key({ file });
    expect(first.size).toBe(32);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'state'))).mode & 0o777).toBe(0o700);
    expect((await key({ file })).equals(first)).toBe(true);
    const text = await readFile(file, 'utf8');
    expect(text).toBe(`${Buffer.from(first.reveal()).toString('base64')}\n`);
  });

  it('concurrent starts create the same fingerprint key, and leave no temporary files', async () => {
    const file = join(folder, 'fingerprint.key');
    const keys = await Promise.all(Array.from({ length: 20 }, () => key({ file })));
    expect(keys.every((secretValue) => keys[0]?.equals(secretValue))).toBe(true);
    expect(await readdir(folder)).toEqual(['fingerprint.key']);
  });

  it('two folders get different fingerprint keys', async () => {
    const [one, two] = [await key({ file: join(folder, 'one') }), await key({ file: join(folder, 'two') })];
    expect(one.equals(two)).toBe(false);
  });

  it('the fingerprint key is not created if several replicas could create different keys', async () => {
    await expect(key({ file: join(folder, 'none') }, false)).rejects.toMatchObject({
      code: 'CREDENTIAL_MISSING',
    });
    expect(await readdir(folder)).toEqual([]);
  });

  it('the fingerprint key can be read from the environment', async () => {
    expect((await key({ env: 'KEY' })).size).toBe(32);
    await expect(key({ env: 'NONE' })).rejects.toMatchObject({ code: 'CREDENTIAL_MISSING' });
  });

  it.each([
    ['too short', Buffer.alloc(16, 1).toString('base64')],
    ['too long', Buffer.alloc(33, 1).toString('base64')],
    ['not base64', `${'x'.repeat(43)}!`],
    ['raw bytes', Buffer.alloc(32, 200)],
    ['without its padding', BASE64.replace(/=+$/, '')],
    ['empty', ''],
  ])('the fingerprint key is rejected if it is %s', async (_, content) => {
    const file = join(folder, 'fingerprint.key');
    await writeFile(file, content);
    const error = await key({ file }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'CREDENTIAL_MISSING', message: expect.stringContaining(file) });
    if (content.length > 0) expect(String(error)).not.toContain(String(content));
    expect(await readFile(file)).toEqual(Buffer.from(content));
  });

  it('the fingerprint key can have surrounding white space', async () => {
    const file = join(folder, 'fingerprint.key');
    await writeFile(file, ` ${BASE64}\r\n\n`);
    expect((await key({ file })).size).toBe(32);
  });

  it('the fingerprint key is read from a read-only folder', async (context) => {
    context.skip(process.getuid?.() === 0, 'root may write everywhere');
    const file = join(folder, 'fingerprint.key');
    await writeFile(file, BASE64);
    await chmod(folder, 0o500);
    expect((await key({ file })).size).toBe(32);
    await chmod(folder, 0o700);
  });

  it('an existing fingerprint key is read without writing a temporary file', async () => {
    const file = join(folder, 'fingerprint.key');
    await writeFile(file, BASE64);
    const before = (await stat(folder, { bigint: true })).mtimeNs;
    await key({ file });
    expect((await stat(folder, { bigint: true })).mtimeNs).toBe(before);
  });

  it('a fingerprint key that can be neither read nor created causes an error with the reason', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(key({ file: join(folder, 'file', 'key') })).rejects.toMatchObject({
      code: 'CREDENTIAL_MISSING',
      detail: expect.stringContaining('ENOTDIR'),
    });
    await mkdir(join(folder, 'dir'));
    await expect(key({ file: join(folder, 'dir') })).rejects.toMatchObject({
      code: 'CREDENTIAL_MISSING',
      detail: expect.stringContaining('it is a folder'),
    });
  });
});

describe('checkpoint key', () => {
  const unsigned = { sequence: 1, hash: 'a', time: '2026-11-25T12:00:00.000Z', instance: 'prod' };
  const keysAt = (file: string, make = true) => checkpointKeys({ file }, { mayCreate: make, credential });
  const fresh = () =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

  it('a missing checkpoint key is created in a file that only its owner can access, together with a file for the public key', async () => {
    const file = join(folder, 'state', 'checkpoint.key');
    const [one, two] = await Promise.all([keysAt(file), keysAt(file)]);
    expect(one.signer.keyId).toBe(two.signer.keyId);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(join(folder, 'state', 'checkpoint.pub'), 'utf8')).toContain(
      pemOf(one.signer.publicKey),
    );
  });

  it('signatures of the old checkpoint key are accepted after the key was replaced', async () => {
    const file = join(folder, 'checkpoint.key');
    const old = await keysAt(file);
    const signed = old.signer.sign(unsigned);
    await writeFile(file, fresh());
    const now = await keysAt(file);
    expect(now.signer.keyId).not.toBe(old.signer.keyId);
    expect(signatureOf(signed, now.publicKeys)).toBe('good');
    expect([...(await knownCheckpointKeys({ file }, { credential })).keys()].sort()).toEqual(
      [old.signer.keyId, now.signer.keyId].sort(),
    );
  });

  it('the checkpoint key file can also contain the public keys of replaced checkpoint keys', async () => {
    const old = generateKeyPairSync('ed25519').publicKey;
    const file = join(folder, 'mounted');
    await writeFile(file, `${fresh()}${pemOf(old)}`);
    expect((await keysAt(file, false)).publicKeys.has(keyIdOf(old))).toBe(true);
  });

  it('the checkpoint key is not created if replicas could create different keys, and verification works without this key', async () => {
    const file = join(folder, 'none.key');
    await expect(keysAt(file, false)).rejects.toMatchObject({ code: 'CREDENTIAL_MISSING' });
    expect((await knownCheckpointKeys({ file }, { credential })).size).toBe(0);
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    ['no key', 'hello'],
    ['damaged', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'],
    [
      'of another kind',
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    ],
  ])('the checkpoint key is rejected without being quoted in the error if it is %s', async (_, text) => {
    const file = join(folder, 'wrong.key');
    await writeFile(file, text);
    await expect(keysAt(file)).rejects.toMatchObject({
      code: 'CREDENTIAL_MISSING',
      message: expect.stringContaining('not an Ed25519 private key'),
    });
  });
});
