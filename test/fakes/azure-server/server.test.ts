import { ClientAssertionCredential, ClientSecretCredential } from '@azure/identity';
import { describe, expect, it } from 'vitest';
import { openClients, refusal } from './clients.ts';
import { FAULTS } from './faults.ts';
import { IDENTITY_HEADER, TENANT } from './login.ts';

describe('the fake Key Vault, called by the vendor’s clients', () => {
  it('requires a token, and accepts the same token in later requests', async () => {
    await using azure = await openClients();
    azure.server.secrets.put('a', '1');
    await azure.secrets.getSecret('a');
    await azure.secrets.getSecret('a');
    expect(azure.server.requests).toEqual([
      'vault GET /secrets/a',
      `authority GET /${TENANT}/v2.0/.well-known/openid-configuration`,
      `authority POST /${TENANT}/oauth2/v2.0/token`,
      'vault GET /secrets/a',
      'vault GET /secrets/a',
    ]);
    expect(azure.server.login.counts).toEqual({ discovery: 1, token: 1, identity: 0 });
  });

  it('returns a secret with its attributes, and times in whole seconds', async () => {
    await using azure = await openClients(() => 1_800_000_000_900);
    const { secrets } = azure.server;
    const options = { contentType: 'text/plain', tags: { a: 'b' }, expires: 1_900_000_000_000 };
    const version = secrets.put('Name', 'välue\0\n', options);
    const { name, value, properties } = await azure.secrets.getSecret('name');
    expect([name, value]).toEqual(['Name', 'välue\0\n']);
    expect(properties).toMatchObject({
      version,
      enabled: true,
      contentType: 'text/plain',
      tags: { a: 'b' },
      createdOn: new Date(1_800_000_000_000),
      updatedOn: new Date(1_800_000_000_000),
      expiresOn: new Date(1_900_000_000_000),
    });
    expect(properties.managed).toBeUndefined();
    secrets.put('cert', 'x', { managed: true });
    expect((await azure.secrets.getSecret('cert')).properties).toMatchObject({ managed: true });
  });

  it('keeps older versions of a secret', async () => {
    await using azure = await openClients();
    const first = azure.server.secrets.put('a', '1');
    const second = azure.server.secrets.put('a', '2');
    expect((await azure.secrets.getSecret('a')).properties.version).toBe(second);
    expect((await azure.secrets.getSecret('a', { version: first })).value).toBe('1');
    const none = await refusal(azure.secrets.getSecret('a', { version: '0'.repeat(32) }));
    expect(none).toMatchObject({ status: 404, code: 'SecretNotFound' });
  });

  it('answers differently for absent, deleted, disabled and denied secrets', async () => {
    await using azure = await openClients();
    const { secrets } = azure.server;
    expect(await refusal(azure.secrets.getSecret('a'))).toMatchObject({
      status: 404,
      code: 'SecretNotFound',
    });
    secrets.put('a', '1');
    secrets.update('a', { enabled: false });
    const inner = (code: string) => ({ error: { innerError: { code } } });
    expect(await refusal(azure.secrets.getSecret('a'))).toMatchObject({
      status: 403,
      code: 'Forbidden',
      details: inner('SecretDisabled'),
    });
    secrets.remove('a');
    expect(await refusal(azure.secrets.getSecret('a'))).toMatchObject({ status: 404 });
    expect(await refusal(azure.secrets.getDeletedSecret('a'))).toMatchObject({
      status: 403,
      details: inner('SecretDisabled'),
    });
    secrets.recover('a');
    secrets.update('a', { enabled: true });
    secrets.remove('a');
    expect((await azure.secrets.getDeletedSecret('a')).name).toBe('a');
    secrets.recover('a');
    expect(await refusal(azure.secrets.getDeletedSecret('a'))).toMatchObject({ status: 404 });
    secrets.remove('a');
    secrets.purge('a');
    expect(await refusal(azure.secrets.getDeletedSecret('a'))).toMatchObject({ status: 404 });
    azure.server.deny(/secrets\/a/);
    expect(await refusal(azure.secrets.getSecret('a'))).toMatchObject({
      status: 403,
      details: inner('ForbiddenByRbac'),
    });
  });

  it('lists 25 secrets on each page, including disabled secrets, without their values and versions', async () => {
    await using azure = await openClients();
    for (let index = 0; index < 60; index += 1)
      azure.server.secrets.put(`n${index + 100}`, 'x', { tags: { i: `${index}` } });
    azure.server.secrets.update('n100', { enabled: false });
    const pages = await Array.fromAsync(azure.secrets.listPropertiesOfSecrets().byPage({ maxPageSize: 100 }));
    expect(pages.map((page) => page.length)).toEqual([25, 25, 10]);
    const [first, second] = pages.flat();
    expect(first).toMatchObject({ name: 'n100', enabled: false, tags: { i: '0' } });
    expect(first?.version || undefined).toBeUndefined();
    expect(second).toMatchObject({ name: 'n101', enabled: true });
  });

  it('returns keys and certificates', async () => {
    await using azure = await openClients();
    const version = azure.server.keys.put('k', '{"kty":"RSA","n":"0vx7","e":"AQAB"}');
    const { key, properties } = await azure.keys.getKey('k');
    expect(key).toMatchObject({ kty: 'RSA', kid: `${azure.server.address}/keys/k/${version}` });
    expect(properties.version).toBe(version);
    azure.server.certificates.put('c', Buffer.from('cer'));
    expect(Buffer.from((await azure.certificates.getCertificate('c')).cer ?? []).toString()).toBe('cer');
    azure.server.keys.remove('k');
    azure.server.certificates.remove('c');
    expect((await azure.keys.getDeletedKey('k')).name).toBe('k');
    expect((await azure.certificates.getDeletedCertificate('c')).name).toBe('c');
    expect(await refusal(azure.keys.getKey('k'))).toMatchObject({ status: 404, code: 'KeyNotFound' });
    expect(await refusal(azure.certificates.getCertificate('c'))).toMatchObject({
      code: 'CertificateNotFound',
    });
  });

  it('rejects a token that has expired or was revoked', async () => {
    let now = Date.now();
    await using azure = await openClients(() => now);
    azure.server.secrets.put('a', '1');
    await azure.secrets.getSecret('a');
    now += 3_600_001;
    expect(await refusal(azure.secrets.getSecret('a'))).toMatchObject({ status: 401 });
    await using other = await openClients();
    await other.secrets.getSecret('a').catch(() => undefined);
    other.server.login.revokeAll();
    expect(await refusal(other.secrets.getSecret('a'))).toMatchObject({ status: 401 });
  });

  it.each(FAULTS.filter((fault) => !/hang|endless/.test(fault)))(
    'answers with the fault "%s", and normally after the fault',
    async (fault) => {
      await using azure = await openClients();
      azure.server.secrets.put('a', '1');
      azure.server.fail(fault, /secrets\/a/);
      const result = await azure.secrets.getSecret('a').then(
        () => 'fine',
        () => 'failed',
      );
      // With these two faults, the client accepts the body without an error.
      expect(result).toEqual(
        fault === 'not UTF-8' || fault === 'wrong content type' ? expect.anything() : 'failed',
      );
      azure.server.fail(undefined);
      expect((await azure.secrets.getSecret('a')).value).toBe('1');
    },
  );

  it('calls `onHang` when it leaves a request unanswered', async () => {
    await using azure = await openClients();
    const hangs = Promise.withResolvers<void>();
    azure.server.onHang = hangs.resolve;
    azure.server.fail('hang');
    const controller = new AbortController();
    const reading = azure.secrets
      .getSecret('a', { abortSignal: controller.signal })
      .catch((error: Error) => error.name);
    await hangs.promise;
    controller.abort();
    expect(await reading).toBe('AbortError');
  });
});

describe('the fake of Microsoft Entra ID', () => {
  const token = (credential: ClientSecretCredential) =>
    credential.getToken('https://vault.azure.net/.default');

  it('rejects unknown applications, wrong secrets and wrong assertions', async () => {
    await using azure = await openClients();
    const { options } = azure;
    const assertion = (text: string) =>
      new ClientAssertionCredential(TENANT, 'client', async () => text, options);
    expect((await assertion('a.jwt').getToken('https://vault.azure.net/.default')).token).toMatch(/^token\./);
    for (const [credential, number] of [
      [new ClientSecretCredential(TENANT, 'client', 'wrong', options), '7000215'],
      [new ClientSecretCredential(TENANT, 'nobody', 's3cret', options), '700016'],
      [assertion('b.jwt'), '700213'],
    ] as const) {
      await expect(token(credential as ClientSecretCredential)).rejects.toThrow(number);
    }
  });

  it('issues tokens only for Key Vault, and only in its own tenant', async () => {
    await using azure = await openClients();
    await expect(azure.credential.getToken('https://graph.microsoft.com/.default')).rejects.toThrow('500011');
    await expect(
      token(new ClientSecretCredential('other', 'client', 's3cret', azure.options)),
    ).rejects.toThrow();
  });
});

describe('the fake managed identity endpoint', () => {
  it('requires the identity header, and rejects unknown identities', async () => {
    await using azure = await openClients();
    const ask = async (
      query: string,
      headers: Record<string, string> = { 'x-identity-header': IDENTITY_HEADER },
    ) =>
      (await fetch(`${azure.server.identityEndpoint}?resource=https://vault.azure.net${query}`, { headers }))
        .status;
    expect(await ask('')).toBe(200);
    expect(await ask('&client_id=nobody')).toBe(400);
    azure.server.login.identities.add('somebody');
    expect(await ask('&client_id=somebody')).toBe(200);
    expect(await ask('', {})).toBe(401);
    const imds = new URL(
      '/metadata/identity/oauth2/token?resource=https://vault.azure.net',
      azure.server.identityEndpoint,
    );
    expect((await fetch(imds, { headers: { metadata: 'true' } })).status).toBe(200);
    expect((await fetch(imds)).status).toBe(401);
  });
});
