import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createAuthority } from '../../fakes/certificates.ts';
import { pkcs12Of } from './pkcs12-build.ts';
import * as files from './pkcs12-files.ts';
import { run, type Values } from './run.ts';

const bytes = (base64: string) => Buffer.from(base64, 'base64');

function text(template: string, values: Values): string {
  const result = run(template, values);
  if (typeof result !== 'string') throw new Error(result.message);
  return result;
}

const unreadable = 'this is not PKCS#12, or the password is wrong';

describe('PKCS#12 file', () => {
  it.each([
    ['in the current format', files.AES, 2],
    ['from old tools', files.LEGACY, 2],
  ])(
    'the PKCS#12 reader reads the chain, leaf first, and the key of the leaf from a file %s',
    (_, file, count) => {
      const values = { P: bytes(file), PASSWORD: 'secret' };
      const chain = text('{{ P | pkcs12_cert: PASSWORD }}', values);
      const key = text('{{ P | pkcs12_key: PASSWORD }}', values);
      expect(chain.match(/BEGIN CERTIFICATE/g)).toHaveLength(count);
      const leaf = new X509Certificate(chain);
      expect(leaf.subject).toBe('CN=l');
      expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true);
      expect(key).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    },
  );

  it('the PKCS#12 reader accepts as many password iterations in each part as Bouncy Castle writes', () => {
    expect(text('{{ P | pkcs12_key: "secret" }}', { P: bytes(files.MANY_ROUNDS) })).toMatch(/^-----BEGIN /);
  });

  it.each(['aes128', 'aes192', 'aes256', 'des'])(
    'the PKCS#12 reader reads a file that is encrypted with %s and any password hash',
    (algorithm) => {
      const { key } = createAuthority().issue();
      for (const prfAlgorithm of ['sha1', 'sha256', 'sha384', 'sha512']) {
        const under = { algorithm, prfAlgorithm };
        const P = pkcs12Of({ certificates: [], key: { pem: key, password: 'secret', under } });
        expect(text('{{ P | pkcs12_key: "secret" }}', { P })).toBe(key);
        expect(run('{{ P | pkcs12_key: "secreu" }}', { P })).toMatchObject({ message: unreadable });
      }
    },
  );

  it('the PKCS#12 reader accepts a non-ASCII password for a file that is encrypted with DES', () => {
    const { key } = createAuthority().issue();
    const PASSWORD = 'pässwörd €';
    const under = { algorithm: 'des', prfAlgorithm: 'sha256' };
    // The library expects a password with one character for each byte.
    const password = Buffer.from(PASSWORD, 'utf8').toString('latin1');
    const P = pkcs12Of({ certificates: [], key: { pem: key, password, under } });
    expect(text('{{ P | pkcs12_key: PASSWORD }}', { P, PASSWORD })).toBe(key);
  });

  it('the PKCS#12 reader needs no password for a file without encrypted parts', () => {
    expect(text('{{ P | pkcs12_key }}', { P: bytes(files.PLAIN) })).toContain('BEGIN PRIVATE KEY');
    expect(text('{{ P | pkcs12_cert }}', { P: bytes(files.NOKEY) })).toContain('BEGIN CERTIFICATE');
  });

  it.each([
    ['an empty password', ''],
    ['no password, as Windows writes it', undefined],
  ])('the PKCS#12 reader reads a file with %s', (_, password) => {
    const { cert, key } = createAuthority().issue();
    const P = pkcs12Of({ certificates: [cert], key: { pem: key, password } });
    expect(text('{{ P | pkcs12_key }}', { P })).toBe(key);
    expect(text('{{ P | pkcs12_key: "" }}{{ P | pkcs12_cert }}', { P })).toBe(key + cert);
  });

  it('the PKCS#12 reader returns the certificate of the key first, and certificates outside the chain last', () => {
    const root = createAuthority('Root');
    const middle = root.intermediate('Middle');
    const { cert, key } = middle.issue();
    const unrelated = [createAuthority('Root').ca, createAuthority().issue().cert];
    const expected = [cert, middle.ca, root.ca, ...unrelated].join('');
    const pem = { pem: key, password: '' };
    for (const certificates of [
      [...unrelated, root.ca, cert, middle.ca],
      [cert, ...unrelated, middle.ca, root.ca, cert],
    ])
      expect(text('{{ P | pkcs12_cert }}', { P: pkcs12Of({ certificates, key: pem }) })).toBe(expected);
    const alone = pkcs12Of({ certificates: [cert, ...unrelated] });
    expect(text('{{ P | pkcs12_cert }}', { P: alone })).toBe([cert, ...unrelated].join(''));
  });

  it('the PKCS#12 reader returns the certificate of the key first, even if that certificate issued another one', () => {
    const root = createAuthority('Root');
    const own = root.intermediate('Own');
    const { cert } = own.issue();
    const P = pkcs12Of({ certificates: [cert, root.ca, own.ca], key: { pem: own.key, password: '' } });
    expect(text('{{ P | pkcs12_cert }}', { P })).toBe(own.ca + root.ca + cert);
  });

  it('the PKCS#12 reader refuses a file without certificates', () => {
    expect(run('{{ P | pkcs12_cert }}', { P: pkcs12Of({ certificates: [] }) })).toMatchObject({
      message: 'there is no certificate in this PKCS#12',
    });
  });

  it.each([
    ['in the current format', files.AES_UNICODE],
    ['from old tools', files.LEGACY_UNICODE],
  ])('the PKCS#12 reader accepts a non-ASCII password for a file %s', (_, file) => {
    const values = { P: bytes(file), PASSWORD: files.UNICODE_PASSWORD };
    const key = createPrivateKey(text('{{ P | pkcs12_key: PASSWORD }}', values));
    expect(new X509Certificate(text('{{ P | pkcs12_cert: PASSWORD }}', values)).checkPrivateKey(key)).toBe(
      true,
    );
  });

  it('the PKCS#12 reader accepts a file as base64 text that the template decodes first', () => {
    const template = '{{ P | base64_decode | pkcs12_key: "secret" }}';
    expect(text(template, { P: files.AES })).toContain('BEGIN PRIVATE KEY');
  });

  it.each([
    ['another password', bytes(files.AES), '"wrong"', unreadable],
    ['another password, old', bytes(files.LEGACY), '"wrong"', unreadable],
    ['no password', bytes(files.AES), '""', unreadable],
    ['truncated bytes', bytes(files.AES).subarray(0, 500), '"secret"', unreadable],
    ['other bytes', Uint8Array.of(0xff, 0xfe), '"secret"', unreadable],
    [
      'deeply nested structures',
      Buffer.concat(Array.from({ length: 5000 }, () => Buffer.of(0x30, 0x80))),
      '"secret"',
      unreadable,
    ],
    [
      'a password that is hashed too often',
      bytes(files.SLOW),
      '"secret"',
      'the password of this PKCS#12 is hashed more than 100000 times',
    ],
    [
      'a password that is hashed too often, which an integer hides',
      bytes(files.UNCOUNTED),
      '"secret"',
      'the password of this PKCS#12 is hashed more than 100000 times',
    ],
    ['no key', bytes(files.NOKEY), '""', 'there is no private key in this PKCS#12'],
  ])('the PKCS#12 reader rejects a file with %s', (_, P, password, message) => {
    expect(run(`{{ P | pkcs12_key: ${password} }}`, { P })).toMatchObject({ message });
  });

  it.each([
    ['by AES-GCM', files.AES, '60864801650304012a', '60864801650304012e', 'secret'],
    [
      'by AES-GCM, and opened with another password',
      files.AES,
      '60864801650304012a',
      '60864801650304012e',
      'wrong',
    ],
    ['by RC4', files.LEGACY, '2a864886f70d010c0103', '2a864886f70d010c0101', 'secret'],
  ])(
    'the PKCS#12 reader names the algorithm in the error if a file is encrypted %s',
    (_, file, known, other, password) => {
      const P = Buffer.from(bytes(file).toString('hex').replaceAll(known, other), 'hex');
      expect(P.equals(bytes(file))).toBe(false);
      expect(run(`{{ P | pkcs12_key: "${password}" }}`, { P })).toMatchObject({
        message: 'this PKCS#12 uses an unsupported encryption: export it again with AES-CBC or 3DES',
      });
    },
  );

  it('the PKCS#12 reader refuses a file with too many certificates, or with too many password iterations in all parts together', () => {
    const { cert, key: pem } = createAuthority().issue();
    const certificates = Array.from({ length: 151 }, () => cert);
    expect(run('{{ P | pkcs12_cert }}', { P: pkcs12Of({ certificates }) })).toMatchObject({
      message: 'this PKCS#12 has more than 150 certificates',
    });
    const under = { algorithm: 'aes128', prfAlgorithm: 'sha1', count: 70_000 };
    const P = pkcs12Of({ certificates: [], key: { pem, password: 'secret', under, copies: 3 } });
    expect(run('{{ P | pkcs12_key: "secret" }}', { P })).toMatchObject({
      message: 'the password of this PKCS#12 is hashed more than 200000 times',
    });
  });

  it('the PKCS#12 reader refuses a file that is given as text', () => {
    expect(run('{{ P | pkcs12_key }}', { P: files.AES })).toMatchObject({
      message: 'PKCS#12 is not text; `base64_decode` gives the bytes if it is encoded',
    });
  });

  it('the PKCS#12 reader shows no password in an error message', () => {
    const problem = run('{{ P | pkcs12_key: W }}', { P: bytes(files.AES), W: 'hunter2-hunter2' });
    expect(JSON.stringify(problem)).not.toContain('hunter2');
  });

  it('the PKCS#12 reader reads or refuses a file quickly if any byte was changed', () => {
    const file = bytes(files.PLAIN);
    const start = performance.now();
    for (let at = 0; at < file.length; at += 3) {
      const damaged = Buffer.from(file);
      damaged[at] = (damaged[at] ?? 0) ^ 0x5a;
      const result = run('{{ P | pkcs12_key }}{{ P | pkcs12_cert }}', { P: damaged });
      if (typeof result !== 'string') expect(result.message).not.toBe('');
    }
    expect(performance.now() - start).toBeLessThan(5000);
  });
});
