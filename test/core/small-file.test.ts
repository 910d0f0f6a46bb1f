import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseAddress, tlsOptions } from '../../src/audit/postgres/address.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { readCertificate } from '../../src/http/certificate.ts';
import { resolveCredential } from '../../src/providers/credentials.ts';
import { secureContextWithCa } from '../../src/providers/tls.ts';
import { connectRedis } from '../../src/queue/connect-redis.ts';

const folder = mkdtempSync(join(tmpdir(), 'secretbridge-small-file-'));
afterAll(() => rmSync(folder, { recursive: true }));

const pathOf = (name: string) => join(folder, name);
execFileSync('sh', ['-c', 'mkfifo "$0"', pathOf('pipe')]);
writeFileSync(pathOf('large.pem'), `-----BEGIN CERTIFICATE-----\n${'A'.repeat(2 ** 20)}`);
writeFileSync(pathOf('der.crt'), Buffer.from([0x30, 0x82, 0x01, 0x0a]));
writeFileSync(pathOf('a.key'), '-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n');
writeFileSync(pathOf('some.pem'), '-----BEGIN CERTIFICATE-----\n');

/** Every configuration field that is the path of a small file. */
const READERS: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
  'a credential': (file) => resolveCredential({ file }, { env: {} }),
  'the authority of a store': secureContextWithCa,
  'http.tls.keyFile': (keyFile) => readCertificate({ certFile: pathOf('some.pem'), keyFile }),
  'audit.store.tls': (caFile) =>
    tlsOptions(parseAddress(SecretValue.fromText('postgres://a:b@db/c'), undefined), { caFile }),
  'engine.tls': (caFile) =>
    connectRedis(
      { url: SecretValue.fromText('rediss://127.0.0.1:1'), tls: { caFile }, cluster: false },
      'test',
    ),
};

describe.each(Object.entries(READERS))('a small file: %s', (name, read) => {
  it.each([
    ['none.pem', 'ENOENT, no such file or folder'],
    ['.', 'it is a folder, not a regular file'],
    // Reading this device would never end.
    ['pipe', 'it is not a regular file'],
    ['large.pem', 'it is larger than 1 MiB, so it is probably another file'],
  ])(
    'the error contains the name of the file and the reason if the file cannot be used: %s',
    async (file, reason) => {
      await expect(read(pathOf(file))).rejects.toMatchObject({
        code: expect.stringMatching(/^C(ONFIG_INVALID|REDENTIAL_MISSING)$/),
        detail: `file ${pathOf(file)} cannot be read: ${reason}`,
        ...(name.includes('.') ? { subject: name } : {}),
      });
    },
  );
});

describe.each(['the authority of a store', 'audit.store.tls', 'engine.tls'])(
  'a certificate file for %s',
  (name) => {
    it.each(['der.crt', 'a.key'])(
      'rejects a certificate file without a PEM certificate: %s',
      async (file) => {
        await expect(READERS[name]?.(pathOf(file))).rejects.toMatchObject({
          detail: `file ${pathOf(file)} contains no PEM certificates`,
        });
      },
    );
  },
);
