import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { awsSecretsManager } from '../../../src/providers/aws-secrets-manager/index.ts';
import { codeOf } from '../../conformance/provider.ts';
import { testDeps } from '../../conformance/provider-deps.ts';
import { startAwsServer } from '../../fakes/aws-server.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { parse, roleArn, STATIC } from '../aws-secrets-manager/harness.ts';

const authority = createAuthority();

async function read(tls: ReturnType<typeof authority.issue>, more: Readonly<Record<string, unknown>> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-aws-'));
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, authority.ca);
  await using server = await startAwsServer({ tls });
  server.store.put('a', 'x');
  const env = { KEY_ID: server.root.accessKeyId, SECRET_KEY: server.root.secretAccessKey };
  const config = parse({ endpoint: server.address, tls: { caFile }, ...more });
  await using provider = await awsSecretsManager.create(config, testDeps({ env }));
  const [result] = await provider.read([{ key: 'a' }]);
  await rm(folder, { recursive: true });
  return result;
}

describe('the TLS connection to AWS', () => {
  it('trusts the authorities in the configured file, for reads and for logins', async () => {
    const good = authority.issue({ names: ['127.0.0.1'] });
    expect(codeOf(await read(good))).toBe('found');
    const auth = { ...STATIC, assumeRole: [{ roleArn: roleArn('x') }] };
    expect(codeOf(await read(good, { auth }))).toBe('found');
  });

  it.each([
    ['another name', { names: ['other.example.org'] }, {}, 'for another name'],
    [
      'an expired certificate',
      { names: ['127.0.0.1'], notAfter: new Date(0), notBefore: new Date(0) },
      {},
      'expired',
    ],
    ['an unknown authority', { names: ['127.0.0.1'] }, { tls: undefined }, 'not trusted'],
  ])('rejects the server certificate because of %s', async (_, options, more, detail) => {
    expect(await read(authority.issue(options), more)).toMatchObject({
      error: { code: 'TLS_FAILED', detail: expect.stringContaining(detail) },
    });
  });

  it('reports that a server does not use TLS', async () => {
    await using server = await startAwsServer();
    const config = parse({ endpoint: server.address.replace('http:', 'https:') });
    await using provider = await awsSecretsManager.create(
      config,
      testDeps({ env: { KEY_ID: 'a', SECRET_KEY: 'b' } }),
    );
    const [result] = await provider.read([{ key: 'a' }]);
    expect(codeOf(result)).toBe('TLS_FAILED');
  });

  it('refuses to open a store whose CA file is missing', async () => {
    const config = parse({ endpoint: 'https://127.0.0.1:9', tls: { caFile: '/nowhere/ca.pem' } });
    await expect(awsSecretsManager.create(config, testDeps())).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      detail: expect.stringContaining('/nowhere/ca.pem'),
    });
  });
});

describe('an unreachable AWS endpoint', () => {
  it.each([
    ['http://127.0.0.1:9', 'the connection was refused'],
    ['https://nothing.invalid', 'DNS'],
  ])('reports the unreachable endpoint %s as an outage', async (endpoint, detail) => {
    const deps = testDeps({ env: { KEY_ID: 'a', SECRET_KEY: 'b' } });
    await using provider = await awsSecretsManager.create(parse({ endpoint }), deps);
    const [result] = await provider.read([{ key: 'a' }]);
    expect(result).toMatchObject({
      error: { code: 'STORE_UNAVAILABLE', detail: expect.stringContaining(detail) },
    });
  });
});
