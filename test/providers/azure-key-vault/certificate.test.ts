import { X509Certificate } from 'node:crypto';
import forge from 'node-forge';
import { describe, expect, it } from 'vitest';
import { chainOf } from '../../../src/providers/azure-key-vault/certificate.ts';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { pkcs12Of } from '../../sync/template/pkcs12-build.ts';
import { SLOW, AES as WITH_PASSWORD } from '../../sync/template/pkcs12-files.ts';
import { openAzure } from './harness.ts';
import { CHAIN, EC_KEY, LEGACY, MODERN, PSS } from './pkcs12-files.ts';

const PEM_TYPE = 'application/x-pem-file';
const PKCS12_TYPE = 'application/x-pkcs12';
const KEY = '-----BEGIN PRIVATE KEY-----\nMIG2AgEAMBAGByqGSM49\n-----END PRIVATE KEY-----\n';
const [LEAF = '', ISSUER = '', ROOT = ''] = CHAIN.split(/(?<=-----END CERTIFICATE-----\n)/);

describe('a chain of certificates', () => {
  it.each([
    ['with its key before it', KEY + CHAIN],
    ['with its key after it', CHAIN + KEY],
    ['in another order', ROOT + LEAF + KEY + ISSUER],
    ['with one certificate twice', ISSUER + CHAIN],
    ['with other line ends and text in between', `subject=x\r\n${CHAIN.replaceAll('\n', '\r\n')}`],
  ])('reads the chain from PEM, leaves out the key, and puts the leaf first: %s', async (_, pem) => {
    expect(await chainOf(pem, PEM_TYPE)).toBe(CHAIN);
    expect(await chainOf(pem, undefined)).toBe(CHAIN);
  });

  it.each([
    ['in the current format', MODERN],
    ['in the legacy format', LEGACY],
  ])('reads the chain from PKCS#12, and puts it in the right order: %s', async (_, file) => {
    expect(await chainOf(file, PKCS12_TYPE)).toBe(CHAIN);
    expect(await chainOf(file, undefined)).toBe(CHAIN);
  });

  it('reads the chain from PKCS#12 even if the integrity check of the file would fail', async () => {
    const file = Buffer.from(MODERN, 'base64');
    const [sha256, sha224] = ['608648016503040201', '608648016503040204'].map((oid) =>
      Buffer.from(oid, 'hex'),
    );
    file.set(sha224 ?? [], file.lastIndexOf(sha256 ?? ''));
    expect(await chainOf(file.toString('base64'), PKCS12_TYPE)).toBe(CHAIN);
  });

  it('keeps the bytes of a certificate with any signature algorithm', async () => {
    const file = pkcs12Of({ certificates: [PSS] }).toString('base64');
    expect(await chainOf(file, PKCS12_TYPE)).toBe(PSS);
  });

  it('puts the certificate of the private key first, even if it is a CA certificate at the end of the file', async () => {
    const { own, other, key, pkcs12 } = selfSigned();
    for (const pem of [other + own + key, key + other + own, own + key + other])
      expect(await chainOf(pem, PEM_TYPE)).toBe(own + other);
    expect(await chainOf(other + own, PEM_TYPE)).toBe(other + own);
    for (const file of pkcs12) expect(await chainOf(file, PKCS12_TYPE)).toBe(own + other);
    expect(new X509Certificate(await chainOf(EC_KEY, PKCS12_TYPE)).subject).toBe('CN=own.example.org');
  });

  it('puts the certificate of the private key first, even if it has issued another certificate', async () => {
    const root = createAuthority('Root');
    const own = root.intermediate('Own');
    const issued = own.issue().cert;
    for (const certificates of [issued + own.ca + root.ca, root.ca + issued + own.ca])
      expect(await chainOf(own.key + certificates, PEM_TYPE)).toBe(own.ca + root.ca + issued);
    // If two certificates belong to this key, the first one in the chain is the certificate that has issued no other
    // certificate.
    const { cert, key } = own.issue();
    expect(await chainOf(key + own.ca + issued + cert, PEM_TYPE)).toBe(cert + own.ca + issued);
  });

  it('puts unrelated certificates last', async () => {
    expect(await chainOf(LEAF + ROOT, PEM_TYPE)).toBe(LEAF + ROOT);
    expect(await chainOf(ROOT + LEAF, PEM_TYPE)).toBe(LEAF + ROOT);
    expect(await chainOf(ROOT + KEY + LEAF, PEM_TYPE)).toBe(LEAF + ROOT);
    expect(await chainOf(LEAF, PEM_TYPE)).toBe(LEAF);
  });

  it.each([
    ['a password', 'hunter2', undefined],
    ['a key alone', KEY, PEM_TYPE],
    ['broken PEM', LEAF.replace('MII', 'AAA'), PEM_TYPE],
    ['other base64 data', Buffer.from('no certificate').toString('base64'), PKCS12_TYPE],
    ['a file with a password', WITH_PASSWORD, PKCS12_TYPE],
    ['nothing', '', PKCS12_TYPE],
  ])('rejects a text that is %s, and does not quote it in the error', async (_, text, contentType) => {
    const error = await chainOf(text, contentType).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'DECODE_FAILED' });
    if (text !== '') expect(String(error)).not.toContain(text);
  });

  it.each([
    ['with a huge number of hash iterations', SLOW],
    ['with more bytes than any real file', Buffer.alloc(600_000, 0x30).toString('base64')],
  ])('rejects PKCS#12 %s before the expensive work starts', async (_, file) => {
    await expect(chainOf(file, PKCS12_TYPE)).rejects.toMatchObject({
      code: 'DECODE_FAILED',
      message: expect.stringContaining('reading its certificates needs too much time or memory'),
    });
  });
});

describe('a Key Vault certificate', () => {
  it('reads a certificate as the chain in its secret, and returns the version of this secret', async () => {
    await using store = await openAzure();
    const first = store.server.secrets.put('web', KEY + LEAF, { contentType: PEM_TYPE, managed: true });
    const second = store.server.secrets.put('web', MODERN, { contentType: PKCS12_TYPE, managed: true });
    const now = await store.read('web', { object: 'certificate' });
    expect(reveal(now)).toBe(CHAIN);
    expect(now).toMatchObject({ version: second });
    expect(reveal(await store.read('web', { object: 'certificate', version: first }))).toBe(LEAF);
    expect(reveal(await store.read('web'))).toBe(MODERN);
  });

  it('fails to read a certificate if the secret of this certificate contains no certificate', async () => {
    await using store = await openAzure();
    store.server.secrets.put('web', 'hunter2');
    expect(codeOf(await store.read('web', { object: 'certificate' }))).toBe('DECODE_FAILED');
  });

  it('reports a certificate as absent only if neither its secret nor the certificate itself is a deleted object', async () => {
    await using store = await openAzure();
    const { secrets, certificates } = store.server;
    certificates.put('web', Buffer.from('cer'));
    certificates.remove('web');
    expect(codeOf(await store.read('web', { object: 'certificate' }))).toBe('SOURCE_DELETED');
    certificates.purge('web');
    expect(await store.read('web', { object: 'certificate' })).toEqual({ kind: 'absent' });
    secrets.put('web', CHAIN);
    secrets.remove('web');
    expect(codeOf(await store.read('web', { object: 'certificate' }))).toBe('SOURCE_DELETED');
    secrets.purge('web');
    store.server.deny(/deletedcertificates/);
    expect(codeOf(await store.read('web', { object: 'certificate' }))).toBe('ACCESS_DENIED');
  });
});

/**
 * Creates two self-signed certificates. The one that belongs to the key is a CA certificate, like a certificate from
 * `openssl req -x509`.
 */
function selfSigned() {
  const { pki, pkcs12, asn1 } = forge;
  const make = (name: string, cA: boolean) => {
    const pair = pki.rsa.generateKeyPair(1024);
    const certificate = pki.createCertificate();
    certificate.publicKey = pair.publicKey;
    certificate.validity.notAfter.setFullYear(certificate.validity.notBefore.getFullYear() + 1);
    certificate.setSubject([{ name: 'commonName', value: name }]);
    certificate.setIssuer([{ name: 'commonName', value: name }]);
    certificate.setExtensions([{ name: 'basicConstraints', cA }]);
    certificate.sign(pair.privateKey, forge.md.sha256.create());
    return { certificate, pem: pki.certificateToPem(certificate).replaceAll('\r\n', '\n'), pair };
  };
  const own = make('own', true);
  const other = make('other', false);
  const order = [other.certificate, own.certificate];
  const fileOf = (password: string | null) => {
    const file = pkcs12.toPkcs12Asn1(own.pair.privateKey, order, password);
    return Buffer.from(asn1.toDer(file).getBytes(), 'binary').toString('base64');
  };
  // The first file is encrypted with an empty password. The second file is not encrypted.
  const files = [fileOf(''), fileOf(null)];
  return { own: own.pem, other: other.pem, key: pki.privateKeyToPem(own.pair.privateKey), pkcs12: files };
}
