import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startOidcIssuer } from '../fakes/oidc-issuer.ts';
import type { SignInServer } from './harness.ts';
import { REDIRECT_URI, startSignInServer } from './harness.ts';
import { CLIENT_ID, CLIENT_SECRET, startOidcProvider, type TestProvider } from './oidc-provider.ts';

// Real flows with `oidc-provider`.

const SESSION = '__Host-secretbridge-session';
const HOUR_MS = 3_600_000;

let provider: TestProvider;

beforeAll(async () => {
  // The provider prints that it is set up for tests only.
  for (const method of ['info', 'warn'] as const) vi.spyOn(console, method).mockReturnValue(undefined);
  provider = await startOidcProvider({
    claims: {
      ann: { groups: ['sre'], email: 'ann@example.com', email_verified: true, preferred_username: 'ann' },
      ben: { groups: ['payments', 'lunch'], preferred_username: 'ben' },
      eve: { groups: ['lunch'], preferred_username: 'eve' },
    },
    redirectUris: [REDIRECT_URI],
  });
});

afterAll(async () => {
  await provider[Symbol.asyncDispose]();
  vi.restoreAllMocks();
});

/** Signs a person in, and returns the answer to the browser's return. */
async function signIn(service: SignInServer, account: string) {
  const started = await service.call('GET', '/auth/login?to=%23records');
  const back = await provider.signIn(String(started.headers.location), account);
  const { pathname, search } = new URL(back);
  return { back: `${pathname}${search}`, answer: await service.call('GET', `${pathname}${search}`) };
}

describe('a sign-in in a browser', () => {
  it('uses PKCE, state and nonce, and ends with a session for the role of the group', async () => {
    await using service = await startSignInServer(provider.issuer);
    const started = await service.call('GET', '/auth/login');
    expect(started.status).toBe(303);
    const { searchParams } = new URL(String(started.headers.location));
    expect(Object.fromEntries(searchParams)).toMatchObject({
      redirect_uri: REDIRECT_URI,
      response_type: 'code',
      code_challenge_method: 'S256',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
    });
    const { answer } = await signIn(service, 'ann');
    expect(answer).toMatchObject({ status: 303, headers: { location: '/#records' } });
    const session = await service.call('GET', '/api/v1/session');
    expect(session.json).toMatchObject({ name: 'ann@example.com', role: 'operator' });
    expect(service.outcomes).toEqual(['ok']);
  });

  it('sets a `__Host-` cookie that scripts and other sites cannot use', async () => {
    await using service = await startSignInServer(provider.issuer);
    const { answer } = await signIn(service, 'ann');
    const cookies = [answer.headers['set-cookie']].flat().map(String);
    expect(cookies.find((cookie) => cookie.startsWith(SESSION))).toMatch(
      /^__Host-secretbridge-session=[\w-]+; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
    );
    expect(cookies.find((cookie) => cookie.startsWith('__Host-secretbridge-sign-in'))).toMatch(/Max-Age=0$/);
  });

  it('limits a person to the namespaces of the group', async () => {
    await using service = await startSignInServer(provider.issuer);
    await signIn(service, 'ben');
    const session = await service.call('GET', '/api/v1/session');
    expect(session.json).toMatchObject({ name: 'ben', role: 'reviewer', namespaces: ['payments-*'] });
    expect((await service.call('GET', '/api/v1/mappings')).json).toEqual({ mappings: [] });
    expect((await service.call('POST', '/api/v1/mappings/db/sync')).json.code).toBe('FORBIDDEN');
  });

  it('records the person with name, subject and aliases, for the sign-in and for each command', async () => {
    await using service = await startSignInServer(provider.issuer);
    await signIn(service, 'ann');
    await service.call('POST', '/api/v1/mappings/db/sync');
    const person = { name: 'ann@example.com', subject: `${provider.issuer}#ann`, aliases: ['ann'] };
    expect(service.server.calls.at(-1)?.by).toMatchObject({ ...person, groups: ['sre'] });
    expect(service.audit.records.at(-1)).toMatchObject({
      action: 'command',
      note: 'sign-in',
      outcome: 'ok',
      actor: { kind: 'operator', ...person, address: '127.0.0.1' },
    });
  });

  it('refuses a person without a group, and records and counts the refusal', async () => {
    await using service = await startSignInServer(provider.issuer);
    const { answer } = await signIn(service, 'eve');
    expect(answer).toMatchObject({ status: 403, json: { code: 'ROLE_MISSING' } });
    expect(answer.json.message).toContain('eve');
    expect(service.cookies.has(SESSION)).toBe(false);
    expect(service.audit.records.at(-1)).toMatchObject({
      note: 'sign-in',
      outcome: 'refused',
      code: 'ROLE_MISSING',
      actor: { name: 'eve', subject: `${provider.issuer}#eve` },
    });
    expect(service.outcomes).toEqual(['refused']);
  });

  it('refuses a code that was used before, in the same and in another browser', async () => {
    await using service = await startSignInServer(provider.issuer);
    await using other = await service.replica();
    const started = await service.call('GET', '/auth/login');
    const pending = [...service.cookies];
    const back = new URL(await provider.signIn(String(started.headers.location), 'ann'));
    await service.call('GET', `${back.pathname}${back.search}`);
    const again = await service.call('GET', `${back.pathname}${back.search}`);
    expect(again).toMatchObject({ status: 401, json: { code: 'SIGN_IN_REFUSED' } });
    // A thief has the code, and the cookie of the started sign-in too.
    for (const [name, value] of pending) other.cookies.set(name, value);
    const stolen = await other.call('GET', `${back.pathname}${back.search}`);
    expect(stolen.json.message).toMatch(/was used before/);
    expect(other.cookies.has(SESSION)).toBe(false);
  });
});

describe('a session', () => {
  it('holds in every replica', async () => {
    await using service = await startSignInServer(provider.issuer);
    await using other = await service.replica();
    await signIn(service, 'ann');
    for (const [name, value] of service.cookies) other.cookies.set(name, value);
    expect((await other.call('GET', '/api/v1/session')).json.name).toBe('ann@example.com');
  });

  it('ends after 30 minutes without an action, and is renewed by actions', async () => {
    await using service = await startSignInServer(provider.issuer);
    await signIn(service, 'ann');
    for (const minutes of [20, 20, 29]) {
      await service.time.advance(minutes * 60_000);
      expect((await service.call('GET', '/api/v1/session')).status).toBe(200);
    }
    await service.time.advance(31 * 60_000);
    const late = await service.call('GET', '/api/v1/session');
    expect(late).toMatchObject({ status: 401, json: { code: 'SESSION_ENDED' } });
    expect(service.cookies.has(SESSION)).toBe(false);
  });

  it('is not renewed by automatic requests of the page', async () => {
    await using service = await startSignInServer(provider.issuer);
    await signIn(service, 'ann');
    const headers = { 'x-secretbridge-idle': '1' };
    await service.time.advance(20 * 60_000);
    expect((await service.call('GET', '/api/v1/status', { headers })).status).toBe(200);
    await service.time.advance(11 * 60_000);
    expect((await service.call('GET', '/api/v1/status', { headers })).json.code).toBe('SESSION_ENDED');
  });

  it('ends after 12 hours, however much it is used', async () => {
    await using service = await startSignInServer(provider.issuer);
    await signIn(service, 'ann');
    const start = service.time.now();
    const statuses = new Map<boolean, Set<number>>();
    while (service.time.now() - start < 12.5 * HOUR_MS) {
      await service.time.advance(HOUR_MS / 4);
      const isOver = service.time.now() - start >= 12 * HOUR_MS;
      const { status } = await service.call('GET', '/api/v1/session');
      statuses.set(isOver, (statuses.get(isOver) ?? new Set()).add(status));
    }
    expect([...(statuses.get(false) ?? [])]).toEqual([200]);
    expect([...(statuses.get(true) ?? [])]).toEqual([401]);
  });

  it('ends in every replica when the person signs out, also for a copied cookie', async () => {
    await using service = await startSignInServer(provider.issuer);
    await using other = await service.replica();
    await signIn(service, 'ann');
    for (const [name, value] of service.cookies) other.cookies.set(name, value);
    expect((await service.call('POST', '/auth/logout')).status).toBe(204);
    expect(service.cookies.has(SESSION)).toBe(false);
    expect((await other.call('GET', '/api/v1/session')).json.message).toMatch(/signed out/);
    expect(service.audit.records.at(-1)).toMatchObject({
      note: 'sign-out',
      actor: { name: 'ann@example.com' },
    });
  });

  it('is refused if a request comes from another site, or without proof', async () => {
    await using service = await startSignInServer(provider.issuer);
    await signIn(service, 'ann');
    const post = async (headers: Readonly<Record<string, string>>) => {
      const answer = await service.call('POST', '/api/v1/mappings/db/sync', { headers });
      return answer.json.code ?? answer.status;
    };
    expect(await post({ 'sec-fetch-site': 'cross-site' })).toBe('FORBIDDEN');
    expect(await post({ 'sec-fetch-site': 'same-site', origin: 'https://evil.localhost' })).toBe('FORBIDDEN');
    const cookie = [...service.cookies].map((pair) => pair.join('=')).join('; ');
    const old = async (headers: Readonly<Record<string, string>>) => {
      const answer = await service.server.call('POST', '/api/v1/mappings/db/sync', {
        headers: { cookie, ...headers },
      });
      return answer.json.code ?? answer.status;
    };
    expect(await old({})).toBe('FORBIDDEN');
    expect(await old({ origin: 'https://evil.example' })).toBe('FORBIDDEN');
    expect(await old({ origin: 'http://localhost' })).toBe(200);
    expect(service.server.calls).toHaveLength(1);
  });

  it('does not replace a token in the header, and a changed cookie is refused', async () => {
    await using service = await startSignInServer(provider.issuer);
    await signIn(service, 'ann');
    const wrong = await service.call('GET', '/api/v1/session', { token: 'unknown' });
    expect(wrong.json.code).toBe('UNAUTHENTICATED');
    const cookie = service.cookies.get(SESSION) ?? '';
    service.cookies.set(SESSION, `${cookie.slice(0, -2)}${cookie.endsWith('AA') ? 'BB' : 'AA'}`);
    expect((await service.call('GET', '/api/v1/session')).json.code).toBe('SESSION_ENDED');
  });
});

describe('a sign-in of the command line', () => {
  it('is confirmed on another device, renewed with the groups of the provider, and ended', async () => {
    await using service = await startSignInServer(provider.issuer);
    const post = (url: string, body: object, token?: string) =>
      service.call('POST', url, {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
        ...(token === undefined ? {} : { token }),
      });
    const { json: device } = await post('/auth/device', {});
    const { deviceCode } = device;
    expect(await post('/auth/token', { deviceCode })).toMatchObject({ status: 202, json: { pending: true } });
    await provider.confirmDevice(String(device.verificationUri), String(device.userCode), 'ann');
    const { json: first } = await post('/auth/token', { deviceCode });
    expect(first).toMatchObject({ name: 'ann@example.com', token: expect.stringMatching(/^sbs_/) });
    const whoami = async (token: unknown) =>
      (await service.server.get('/api/v1/session', String(token))).json;
    expect(await whoami(first.token)).toMatchObject({ name: 'ann@example.com', role: 'operator' });

    await service.time.advance(29 * 60_000);
    const { json: second } = await post('/auth/token', { renewal: first.renewal });
    await service.time.advance(2 * 60_000);
    expect(await whoami(first.token)).toMatchObject({ code: 'SESSION_ENDED' });
    expect(await whoami(second.token)).toMatchObject({ role: 'operator' });

    expect((await post('/auth/logout', {}, String(second.token))).status).toBe(204);
    expect(await whoami(second.token)).toMatchObject({ code: 'SESSION_ENDED' });
    expect((await post('/auth/token', { renewal: second.renewal })).json.code).toBe('SESSION_ENDED');
  });

  it('sends the secret of the client in the form if the provider allows it, because Dex reads it only there', async () => {
    await using issuer = await startOidcIssuer(CLIENT_ID);
    const secrets: (string | null | undefined)[] = [];
    for (const methods of [['client_secret_basic', 'client_secret_post'], ['client_secret_basic']]) {
      issuer.faults = { metadata: { token_endpoint_auth_methods_supported: methods } };
      await using service = await startSignInServer(issuer.issuer);
      expect((await service.call('POST', '/auth/device')).status).toBe(200);
      secrets.push(issuer.deviceForm?.get('client_secret'));
    }
    expect(secrets).toEqual([CLIENT_SECRET, null]);
  });

  it.each([true, false])(
    'ends after 30 minutes without use, with a refresh token: %s',
    async (hasRefreshToken) => {
      await using issuer = await startOidcIssuer(CLIENT_ID);
      issuer.hasRefreshTokens = hasRefreshToken;
      await using service = await startSignInServer(issuer.issuer);
      issuer.clock = service.time;
      const post = async (body: object) =>
        (
          await service.call('POST', '/auth/token', {
            body: JSON.stringify(body),
            headers: { 'content-type': 'application/json' },
          })
        ).json;
      await post({ deviceCode: 'one' });
      const first = await post({ deviceCode: 'one' });
      await service.time.advance(29 * 60_000);
      const second = await post({ renewal: first.renewal });
      expect(second).toMatchObject({ name: first.name });
      const lifetimeMs = Date.parse(String(second.endsAt)) - service.time.now();
      expect(lifetimeMs).toBe(30 * 60_000);
      expect(Date.parse(String(second.renewAfter)) - service.time.now()).toBe(5 * 60_000);
      await service.time.advance(30 * 60_000);
      expect(await post({ renewal: second.renewal })).toMatchObject({
        ...{ code: 'SESSION_ENDED', message: expect.stringMatching(/not used for too long/) },
      });
    },
  );
});
