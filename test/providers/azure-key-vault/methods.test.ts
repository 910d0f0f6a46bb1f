import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AzureConfig } from '../../../src/providers/azure-key-vault/config.ts';
import { codeOf } from '../../conformance/provider.ts';
import { TENANT } from '../../fakes/azure-server/login.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { BY_SECRET, CLIENT, CLIENT_SECRET, openAzure } from './harness.ts';
import { rsaCertificate } from './rsa-certificate.ts';

type Store = Awaited<ReturnType<typeof openAzure>>;

const APPLICATION = { tenantId: TENANT, clientId: CLIENT };

describe('the login methods of Key Vault', () => {
  const log = async (store: Store) => {
    store.server.secrets.put('a', '1');
    return codeOf(await store.read('a'));
  };

  it('uses the private key in the certificate file for a login with a client certificate', async () => {
    const { certificate, key } = rsaCertificate();
    const auth = { method: 'clientCertificate', ...APPLICATION, certificate: { env: 'PEM' } };
    await using store = await openAzure({ config: { auth }, deps: { env: { PEM: `${key}${certificate}` } } });
    store.server.login.applications.set(CLIENT, { certificate });
    expect(await log(store)).toBe('found');
    store.server.login.applications.set(CLIENT, { certificate: rsaCertificate().certificate });
    store.server.login.revokeAll();
    expect(await store.read('a')).toMatchObject({
      error: { detail: expect.stringContaining('certificate') },
    });
  });

  it('reports a client certificate whose private key cannot be used', async () => {
    const { certificate } = rsaCertificate();
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
    });
    for (const PEM of [certificate, 'not PEM', privateKey + certificate]) {
      const auth = { method: 'clientCertificate', ...APPLICATION, certificate: { env: 'PEM' } };
      await using store = await openAzure({ config: { auth }, deps: { env: { PEM } } });
      expect(await log(store)).toBe('AUTH_FAILED');
      expect(await store.read('a')).toMatchObject({
        error: { detail: expect.stringContaining('private key') },
      });
    }
  });

  it('reads the token file on each login with a workload identity, and takes the IDs from the environment', async () => {
    const time = createManualTime(Date.now());
    const config = { auth: { method: 'workloadIdentity' } };
    const env = { AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: CLIENT };
    await using store = await openAzure({ config, deps: { env, clock: time } });
    expect(await log(store)).toBe('CREDENTIAL_MISSING');
    const file = join(store.folder, 'token');
    store.env.AZURE_FEDERATED_TOKEN_FILE = file;
    await time.advance(10_000);
    expect(await log(store)).toBe('CREDENTIAL_MISSING');
    store.server.login.applications.set(CLIENT, { assertion: 'first.jwt' });
    await writeFile(file, 'first.jwt\n');
    await time.advance(10_000);
    expect(await log(store)).toBe('found');
    store.server.login.applications.set(CLIENT, { assertion: 'second.jwt' });
    await writeFile(file, 'second.jwt');
    store.server.login.revokeAll();
    expect(await log(store)).toBe('found');
  });

  it('reads the tenant, the client ID and the client secret from one Secret', async () => {
    const auth = {
      method: 'clientSecret',
      tenantId: { env: 'T' },
      clientId: { env: 'C' },
      clientSecret: { env: 'S' },
    };
    const time = createManualTime(Date.now());
    const env = { C: `${CLIENT}\n`, S: CLIENT_SECRET };
    await using store = await openAzure({ config: { auth }, deps: { env, clock: time } });
    expect(await log(store)).toBe('CREDENTIAL_MISSING');
    store.env.T = TENANT;
    await time.advance(10_000);
    expect(await log(store)).toBe('found');
  });

  it('prefers the configured IDs and token file to the environment for a workload identity', async () => {
    await using outer = await openAzure();
    const file = join(outer.folder, 'token');
    await writeFile(file, 'a.jwt');
    const auth = { method: 'workloadIdentity', ...APPLICATION, tokenFile: file };
    const env = { AZURE_TENANT_ID: 'other', AZURE_CLIENT_ID: 'other', AZURE_FEDERATED_TOKEN_FILE: '/none' };
    await using store = await openAzure({ config: { auth }, deps: { env } });
    store.server.login.applications.set(CLIENT, { assertion: 'a.jwt' });
    expect(await log(store)).toBe('found');
  });

  it('prefers a client secret, then a certificate, then a federated token from the environment if the method is `default`', async () => {
    const { certificate, key } = rsaCertificate();
    const config = { auth: { method: 'default' } };
    await using outer = await openAzure();
    const pem = join(outer.folder, 'client.pem');
    const token = join(outer.folder, 'token');
    await writeFile(pem, key + certificate);
    await writeFile(token, 'a.jwt');
    const ids = { AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: CLIENT };
    const steps = [
      { env: { AZURE_FEDERATED_TOKEN_FILE: token }, accepts: { assertion: 'a.jwt' } },
      { env: { AZURE_CLIENT_CERTIFICATE_PATH: pem }, accepts: { certificate } },
      { env: { AZURE_CLIENT_SECRET: 's' }, accepts: { secret: 's' } },
    ];
    let env: Record<string, string> = ids;
    for (const step of steps) {
      env = { ...env, ...step.env };
      await using store = await openAzure({ config, deps: { env } });
      store.server.login.applications.set(CLIENT, step.accepts);
      expect(await log(store)).toBe('found');
    }
  });

  it('names a missing credential in the error', async () => {
    await using store = await openAzure();
    delete store.env.CLIENT_SECRET;
    expect(await log(store)).toBe('CREDENTIAL_MISSING');
    expect(await store.read('a')).toMatchObject({
      error: { detail: expect.stringContaining('CLIENT_SECRET') },
    });
  });
});

describe('the Azure cloud', () => {
  it.each([
    ['https://contoso.vault.azure.cn', {}, 'login.chinacloudapi.cn'],
    ['https://contoso.vault.usgovcloudapi.net', {}, 'login.microsoftonline.us'],
    ['https://contoso.vault.azure.cn', { authorityHost: 'https://login.example.com' }, 'login.example.com'],
  ])('chooses the login authority of the Azure cloud of %s with %j', async (vaultUrl, more, host) => {
    const { makeCredential } = await import('../../../src/providers/azure-key-vault/credential.ts');
    const identity = await import('@azure/identity');
    const { testDeps } = await import('../../conformance/provider-deps.ts');
    const env = { CLIENT_SECRET, AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.com' };
    const config = AzureConfig.parse({ kind: 'azure-key-vault', vaultUrl, ...BY_SECRET, ...more });
    const hosts: string[] = [];
    const httpClient = {
      sendRequest: (request: { url: string }) => {
        hosts.push(new URL(request.url).host);
        return Promise.reject(new Error('seen'));
      },
    };
    const credential = await makeCredential({ config, deps: testDeps({ env }), identity, httpClient });
    await expect(credential.getToken('https://vault/.default')).rejects.toThrow();
    expect(hosts).toEqual([host]);
  });
});

describe('the configuration of a Key Vault store', () => {
  const isValid = (more: object) =>
    AzureConfig.safeParse({ kind: 'azure-key-vault', vaultUrl: 'https://contoso.vault.azure.net', ...more })
      .success;

  it.each(['https://contoso.vault.azure.net', 'https://contoso.vault.azure.net/', 'https://127.0.0.1:8443'])(
    'accepts the vault address %s',
    (vaultUrl) => expect(isValid({ vaultUrl })).toBe(true),
  );

  it.each([
    'http://127.0.0.1:8080',
    'http://contoso.vault.azure.net',
    'https://contoso.vault.azure.net/secrets/a',
    'https://contoso.vault.azure.net?a',
    'https://u:p@contoso.vault.azure.net',
    'contoso.vault.azure.net',
    '',
  ])('rejects the vault address %j', (vaultUrl) => expect(isValid({ vaultUrl })).toBe(false));

  it('rejects a credential in the configuration file itself, and rejects unknown fields', () => {
    expect(isValid({ auth: { ...BY_SECRET.auth, clientSecret: 'abc' } })).toBe(false);
    expect(isValid({ vaultURL: 'x' })).toBe(false);
  });
});
