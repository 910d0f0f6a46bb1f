import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { describe, expect, it, vi } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';
import { createEntraProof } from '../../src/events/entra.ts';
import { createEventGridIntake } from '../../src/events/event-grid.ts';
import { AUDIENCE, type Claims, type EntraServer, startEntraServer, TENANT } from '../fakes/entra-server.ts';
import { closeServer, listen } from '../fakes/loopback.ts';
import { createManualTime } from '../fakes/manual-time.ts';

const VAULT = 'https://contoso.vault.azure.net';

async function open({ vaultUrl = VAULT, tenantId = TENANT, audience = AUDIENCE } = {}) {
  const server = await startEntraServer();
  const clock = createManualTime(Date.now());
  const { authority } = server;
  const proof = createEntraProof({ tenantId, audience }, { vaultUrl, clock, authority });
  return {
    server,
    clock,
    proof,
    async holds(claims: Claims = {}, of: EntraServer = server) {
      return proof.holds(`Bearer ${await of.token(clock.now(), claims)}`);
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

const seconds = (ms: number) => Math.floor(ms / 1_000);

describe('a token of Microsoft Entra', () => {
  it.each([
    ['version 1', {}],
    ['version 2', { iss: `https://login.microsoftonline.com/${TENANT}/v2.0`, ver: '2.0' }],
    ['several audiences', { aud: ['api://other', AUDIENCE] }],
    ['more roles', { roles: ['Other', 'AzureEventGridSecureWebhookSubscriber'] }],
  ])('of %s is taken', async (_, claims) => {
    await using it = await open();
    expect(await it.holds(claims)).toBe(true);
  });

  it.each([
    ['another audience', { aud: 'api://other' }],
    ['no audience', { aud: undefined }],
    ['another tenant', { iss: 'https://sts.windows.net/00000000-0000-0000-0000-000000000001/' }],
    ['another issuer', { iss: 'https://sts.windows.net.evil.example/' }],
    ['another cloud', { iss: `https://login.microsoftonline.us/${TENANT}/v2.0` }],
    ['no role, as anybody in the tenant may get one', { roles: undefined }],
    ['another role', { roles: ['Reader'] }],
    ['a role that is no list', { roles: 'AzureEventGridSecureWebhookSubscriber' }],
    ['no end', { exp: undefined }],
    ['an end that is past', { exp: seconds(Date.now()) - 61 }],
    ['a beginning that is far off', { nbf: seconds(Date.now()) + 120 }],
  ])('of %s is not', async (_, claims) => {
    await using it = await open();
    expect(await it.holds(claims)).toBe(false);
  });

  it('may be a minute off', async () => {
    await using it = await open();
    const now = seconds(it.clock.now());
    expect(await it.holds({ exp: now - 55 })).toBe(true);
    expect(await it.holds({ nbf: now + 55, iat: now + 55 })).toBe(true);
  });

  it('signed by somebody else, by another algorithm or by nobody is none', async () => {
    await using it = await open();
    await using other = await startEntraServer('somebody else');
    const now = it.clock.now();
    expect(await it.holds({}, other)).toBe(false);
    expect(await it.proof.holds(`Bearer ${await it.server.token(now, {}, { alg: 'PS256' })}`)).toBe(false);
    const [, payload = ''] = (await it.server.token(now)).split('.');
    const header = (alg: string) => Buffer.from(JSON.stringify({ alg, kid: 'k0' })).toString('base64url');
    const hmac = createHmac('sha256', 'k0')
      .update(`${header('HS256')}.${payload}`)
      .digest('base64url');
    for (const token of [`${header('none')}.${payload}.`, `${header('HS256')}.${payload}.${hmac}`])
      expect(await it.proof.holds(`Bearer ${token}`)).toBe(false);
  });

  it.each([
    undefined,
    '',
    'Bearer',
    'Bearer a.b',
    'Basic a.b.c',
    `Bearer a.${'b'.repeat(9_000)}.c`,
    'Bearer a.b.c',
  ])('is not %s', async (header) => {
    await using it = await open();
    expect(await it.proof.holds(header)).toBe(false);
    expect(it.server.fetches).toBe(0);
  });

  it('of a sovereign cloud is asked of that cloud', async () => {
    await using it = await open({ vaultUrl: 'https://contoso.vault.azure.cn' });
    expect(await it.holds({ iss: `https://sts.chinacloudapi.cn/${TENANT}/` })).toBe(true);
    expect(await it.holds({ iss: `https://login.partner.microsoftonline.cn/${TENANT}/v2.0` })).toBe(true);
    expect(await it.holds()).toBe(false);
  });
});

describe('the keys', () => {
  it('are fetched once, however many tokens come', async () => {
    await using it = await open();
    expect(await Promise.all(Array.from({ length: 20 }, () => it.holds()))).not.toContain(false);
    await it.proof.holds('Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6Im5vIn0.e30.AAAA');
    expect(it.server.fetches).toBe(1);
  });

  it('are fetched again for a token of a new one, and not for each that is made up', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      await using it = await open();
      expect(await it.holds()).toBe(true);
      await it.server.rotate();
      expect(await it.holds()).toBe(false);
      vi.setSystemTime(Date.now() + 30_001);
      expect(await it.holds()).toBe(true);
      const forged = () => it.proof.holds('Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6Im5vIn0.e30.AAAA');
      expect(await Promise.all(Array.from({ length: 50 }, forged))).not.toContain(true);
      expect(it.server.fetches).toBe(2);
    } finally {
      vi.useRealTimers();
    }
  });

  it('that cannot be fetched are no fault of the sender, and are asked for once a second at most', async () => {
    await using it = await open();
    it.server.broken = true;
    for (let count = 0; count < 10; count += 1)
      await expect(it.holds()).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
        message: expect.not.stringContaining('mArKeR'),
      });
    expect(it.server.fetches).toBe(1);
    await expect(it.proof.ready()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    it.server.broken = false;
    it.clock.set(it.clock.now() + 1_000);
    expect(await it.holds()).toBe(true);
    await it.proof.ready();
  });
});

it('the keys are fetched through the proxy of the environment, as the logins of the store beside it go', async () => {
  const asked: unknown[] = [];
  const proxy = createServer().on('connect', ({ url }, socket) => {
    asked.push(url);
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${await listen(proxy)}`);
  try {
    const clock = createManualTime(Date.now());
    const proof = createEntraProof({ tenantId: TENANT, audience: AUDIENCE }, { vaultUrl: VAULT, clock });
    await expect(proof.ready()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  } finally {
    vi.unstubAllEnvs();
    await closeServer(proxy);
  }
  expect(asked).toEqual(['login.microsoftonline.com:443']);
});

it('a subscription with tokens takes no key, and one with a key no token', async () => {
  await using server = await startEntraServer();
  const clock = createManualTime(Date.now());
  const credential = async () => SecretValue.fromText('right');
  const common = { vaultUrl: VAULT, authority: server.authority, credential, clock };
  const take = () => ({ targets: 0, unknown: 0 });
  const named = { name: 'contoso', store: 'azure' };
  const entra = { tenantId: TENANT.toUpperCase(), audience: AUDIENCE };
  const byToken = createEventGridIntake({ ...common, take, config: { ...named, entra } });
  const byKey = createEventGridIntake({ ...common, take, config: { ...named, key: { env: 'K' } } });
  const token = await server.token(clock.now());
  const head = (headers: Readonly<Record<string, string>>) => ({
    header: (name: string) => headers[name],
    key: undefined,
  });
  const right = { authorization: `Bearer ${token}` };
  await byToken.admit(head(right));
  await byKey.admit(head({ 'aeg-sas-key': 'right' }));
  for (const [intake, headers] of [
    [byToken, { 'aeg-sas-key': 'right' }],
    [byToken, { authorization: token }],
    [byKey, right],
  ] as const)
    await expect(intake.admit(head(headers))).rejects.toMatchObject({ code: 'EVENT_REFUSED' });
});
