import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { describe, expect, it, vi } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';
import { createEntraVerifier } from '../../src/events/entra.ts';
import { createEventGridIntake } from '../../src/events/event-grid.ts';
import { AUDIENCE, type Claims, type EntraServer, startEntraServer, TENANT } from '../fakes/entra-server.ts';
import { closeServer, listen } from '../fakes/loopback.ts';
import { createManualTime } from '../fakes/manual-time.ts';

const VAULT = 'https://contoso.vault.azure.net';

async function open({ vaultUrl = VAULT, tenantId = TENANT, audience = AUDIENCE } = {}) {
  const server = await startEntraServer();
  const clock = createManualTime(Date.now());
  const { authority } = server;
  const proof = createEntraVerifier({ tenantId, audience }, { vaultUrl, clock, authority });
  return {
    server,
    clock,
    proof,
    async holds(claims: Claims = {}, of: EntraServer = server) {
      return proof.verify(`Bearer ${await of.token(clock.now(), claims)}`);
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

const seconds = (ms: number) => Math.floor(ms / 1_000);

describe('a Microsoft Entra token', () => {
  it.each([
    ['version 1', {}],
    ['version 2', { iss: `https://login.microsoftonline.com/${TENANT}/v2.0`, ver: '2.0' }],
    ['several audiences', { aud: ['api://other', AUDIENCE] }],
    ['more roles', { roles: ['Other', 'AzureEventGridSecureWebhookSubscriber'] }],
  ])('a Microsoft Entra token is accepted if it has %s', async (_, claims) => {
    await using entra = await open();
    expect(await entra.holds(claims)).toBe(true);
  });

  it.each([
    ['another audience', { aud: 'api://other' }],
    ['no audience', { aud: undefined }],
    ['another tenant', { iss: 'https://sts.windows.net/00000000-0000-0000-0000-000000000001/' }],
    ['another issuer', { iss: 'https://sts.windows.net.evil.example/' }],
    ['another cloud', { iss: `https://login.microsoftonline.us/${TENANT}/v2.0` }],
    ['no role, like other tokens of the tenant', { roles: undefined }],
    ['another role', { roles: ['Reader'] }],
    ['roles that are not a list', { roles: 'AzureEventGridSecureWebhookSubscriber' }],
    ['no expiry', { exp: undefined }],
    ['an expiry in the past', { exp: seconds(Date.now()) - 61 }],
    ['a start in the future', { nbf: seconds(Date.now()) + 120 }],
  ])('a Microsoft Entra token is rejected if it has %s', async (_, claims) => {
    await using entra = await open();
    expect(await entra.holds(claims)).toBe(false);
  });

  it('a Microsoft Entra token is accepted if its validity times are off by less than a minute', async () => {
    await using entra = await open();
    const now = seconds(entra.clock.now());
    expect(await entra.holds({ exp: now - 55 })).toBe(true);
    expect(await entra.holds({ nbf: now + 55, iat: now + 55 })).toBe(true);
  });

  it('a Microsoft Entra token is rejected with the signature of another issuer, with another algorithm, or without a signature', async () => {
    await using entra = await open();
    await using other = await startEntraServer('somebody else');
    const now = entra.clock.now();
    expect(await entra.holds({}, other)).toBe(false);
    expect(await entra.proof.verify(`Bearer ${await entra.server.token(now, {}, { alg: 'PS256' })}`)).toBe(
      false,
    );
    const [, payload = ''] = (await entra.server.token(now)).split('.');
    const header = (alg: string) => Buffer.from(JSON.stringify({ alg, kid: 'k0' })).toString('base64url');
    const hmac = createHmac('sha256', 'k0')
      .update(`${header('HS256')}.${payload}`)
      .digest('base64url');
    for (const token of [`${header('none')}.${payload}.`, `${header('HS256')}.${payload}.${hmac}`])
      expect(await entra.proof.verify(`Bearer ${token}`)).toBe(false);
  });

  it.each([
    undefined,
    '',
    'Bearer',
    'Bearer a.b',
    'Basic a.b.c',
    `Bearer a.${'b'.repeat(9_000)}.c`,
    'Bearer a.b.c',
  ])('a Microsoft Entra token is rejected if the authorization header is %s', async (header) => {
    await using entra = await open();
    expect(await entra.proof.verify(header)).toBe(false);
    expect(entra.server.fetches).toBe(0);
  });

  it('a Microsoft Entra token of a sovereign cloud is verified with the issuer of this cloud', async () => {
    await using entra = await open({ vaultUrl: 'https://contoso.vault.azure.cn' });
    expect(await entra.holds({ iss: `https://sts.chinacloudapi.cn/${TENANT}/` })).toBe(true);
    expect(await entra.holds({ iss: `https://login.partner.microsoftonline.cn/${TENANT}/v2.0` })).toBe(true);
    expect(await entra.holds()).toBe(false);
  });
});

describe('the signing keys', () => {
  it('the signing keys are fetched once for many tokens', async () => {
    await using entra = await open();
    expect(await Promise.all(Array.from({ length: 20 }, () => entra.holds()))).not.toContain(false);
    await entra.proof.verify('Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6Im5vIn0.e30.AAAA');
    expect(entra.server.fetches).toBe(1);
  });

  it('the signing keys are fetched again after a token with an unknown key, but not for each forged token', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      await using entra = await open();
      expect(await entra.holds()).toBe(true);
      await entra.server.rotate();
      expect(await entra.holds()).toBe(false);
      vi.setSystemTime(Date.now() + 30_001);
      expect(await entra.holds()).toBe(true);
      const forged = () => entra.proof.verify('Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6Im5vIn0.e30.AAAA');
      expect(await Promise.all(Array.from({ length: 50 }, forged))).not.toContain(true);
      expect(entra.server.fetches).toBe(2);
    } finally {
      vi.useRealTimers();
    }
  });

  it('signing keys that cannot be fetched cause STORE_UNAVAILABLE, and are requested at most once a second', async () => {
    await using entra = await open();
    entra.server.broken = true;
    for (let count = 0; count < 10; count += 1)
      await expect(entra.holds()).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
        message: expect.not.stringContaining('mArKeR'),
      });
    expect(entra.server.fetches).toBe(1);
    await expect(entra.proof.loadKeys()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    entra.server.broken = false;
    entra.clock.set(entra.clock.now() + 1_000);
    expect(await entra.holds()).toBe(true);
    await entra.proof.loadKeys();
  });
});

it('the signing keys are fetched through the configured proxy', async () => {
  const requestedHosts: unknown[] = [];
  const proxy = createServer().on('connect', ({ url }, socket) => {
    requestedHosts.push(url);
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${await listen(proxy)}`);
  try {
    const clock = createManualTime(Date.now());
    const proof = createEntraVerifier({ tenantId: TENANT, audience: AUDIENCE }, { vaultUrl: VAULT, clock });
    await expect(proof.loadKeys()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  } finally {
    vi.unstubAllEnvs();
    await closeServer(proxy);
  }
  expect(requestedHosts).toEqual(['login.microsoftonline.com:443']);
});

it('a subscription with Entra rejects keys, and a subscription with a key rejects tokens', async () => {
  await using server = await startEntraServer();
  const clock = createManualTime(Date.now());
  const credential = async () => SecretValue.fromText('right');
  const common = { vaultUrl: VAULT, authority: server.authority, credential, clock };
  const take = () => ({ targets: 0, unknown: 0 });
  const named = { name: 'contoso', store: 'azure' };
  const entra = { tenantId: TENANT.toUpperCase(), audience: AUDIENCE };
  const byToken = createEventGridIntake({ ...common, submit: take, config: { ...named, entra } });
  const byKey = createEventGridIntake({ ...common, submit: take, config: { ...named, key: { env: 'K' } } });
  const token = await server.token(clock.now());
  const head = (headers: Readonly<Record<string, string>>) => ({
    header: (name: string) => headers[name],
    key: undefined,
  });
  const right = { authorization: `Bearer ${token}` };
  await byToken.authenticate(head(right));
  await byKey.authenticate(head({ 'aeg-sas-key': 'right' }));
  for (const [intake, headers] of [
    [byToken, { 'aeg-sas-key': 'right' }],
    [byToken, { authorization: token }],
    [byKey, right],
  ] as const)
    await expect(intake.authenticate(head(headers))).rejects.toMatchObject({ code: 'EVENT_REFUSED' });
});
