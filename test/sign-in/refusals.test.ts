import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc-issuer.ts';
import { createBrowser } from './browser.ts';
import { REDIRECT_URI, type SignInServer, startSignInServer } from './harness.ts';
import { CLIENT_ID, CLIENT_SECRET } from './oidc-provider.ts';

// Answers of a provider that must not be trusted, and providers without an answer.

const MINUTE = 60;
const HOUR_MS = 3_600_000;
const DISCOVERY = '/.well-known/openid-configuration';

let issuer: OidcIssuer;
/** One service for all tests that do not change its time. */
let service: SignInServer;

beforeAll(async () => {
  issuer = await startOidcIssuer(CLIENT_ID);
  service = await startSignInServer(issuer.issuer);
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});

beforeEach(() => {
  issuer.claims = { groups: ['sre'] };
  issuer.faults = {};
  issuer.clock = systemClock;
  service.cookies.clear();
});

const nowSeconds = () => Math.floor(Date.now() / 1_000);

/** Signs in, and returns the answer to the browser's return. @param change Changes the address of the return. */
async function signIn(service: SignInServer, change = (back: URL) => back) {
  const started = await service.call('GET', '/auth/login');
  if (started.status !== 303) return started;
  const back = await createBrowser().open(String(started.headers.location), { until: REDIRECT_URI });
  const { pathname, search } = change(new URL(back.url));
  return service.call('GET', `${pathname}${search}`);
}

/** Returns a change of one parameter. */
const withParameter = (name: string, value: string) => (back: URL) => {
  back.searchParams.set(name, value);
  return back;
};

describe('an ID token that is not for this sign-in', () => {
  it.each<[string, Readonly<Record<string, unknown>>, RegExp]>([
    ['another audience', { aud: 'another-client' }, /another client/],
    ['several audiences, for another client', { aud: [CLIENT_ID, 'x'], azp: 'x' }, /another client/],
    ['another issuer', { iss: 'https://evil.example' }, /another issuer/],
    ['another nonce', { nonce: 'another' }, /nonce/],
    ['no nonce', { nonce: undefined }, /claim of the token is missing/],
    ['a token that has expired', { exp: nowSeconds() - 2 * MINUTE }, /expired/],
    ['a token from the future', { iat: nowSeconds() + 10 * MINUTE }, /not valid yet/],
    ['a token that is valid later', { nbf: nowSeconds() + 10 * MINUTE }, /not valid yet/],
  ])('is refused: %s', async (_, claims, message) => {
    issuer.claims = { groups: ['sre'], ...claims };
    const answer = await signIn(service);
    expect(answer).toMatchObject({
      status: 401,
      json: { code: 'SIGN_IN_REFUSED', message: expect.stringMatching(message) },
    });
    expect([...service.cookies.keys()]).toEqual([]);
    expect(service.audit.records.at(-1)).toMatchObject({ note: 'sign-in', code: 'SIGN_IN_REFUSED' });
    expect(service.outcomes.at(-1)).toBe('refused');
  });

  it('is refused if the clock of this machine is wrong, with the advice to compare the clocks', async () => {
    await using own = await startSignInServer(issuer.issuer);
    own.time.set(Date.now() + 20 * MINUTE * 1_000);
    const { json } = await signIn(own);
    expect(json.code).toBe('SIGN_IN_REFUSED');
    expect(json.remedy).toMatch(/clock/);
  });

  it('is accepted if the clocks differ by less than a minute', async () => {
    issuer.claims = { groups: ['sre'], iat: nowSeconds() + 50, exp: nowSeconds() - 50 };
    expect((await signIn(service)).status).toBe(303);
  });

  it('is refused if it is signed with an unknown key, and accepted after the provider has changed its key', async () => {
    await using changing = await startOidcIssuer(CLIENT_ID);
    await using own = await startSignInServer(changing.issuer);
    expect((await signIn(own)).status).toBe(303);
    await changing.rotateKey();
    expect((await signIn(own)).status).toBe(303);
    changing.faults = { unknownKey: true };
    expect((await signIn(own)).json.message).toMatch(/a key that the provider does not list/);
  });
});

describe('an answer of the browser', () => {
  it.each<[string, (back: URL) => URL, RegExp]>([
    ['another state', withParameter('state', 'another'), /state/],
    ['another code', withParameter('code', 'another'), /used before, or has expired/],
    ['another issuer', withParameter('iss', 'https://evil.example'), /another issuer/],
    ['a refusal by the provider', withParameter('error', 'access_denied'), /denied/],
    ['an unknown error', withParameter('error', 'vendor_error'), /does not accept/],
  ])('is refused: %s', async (_, change, message) => {
    const { status, json, text } = await signIn(service, change);
    expect({ status, code: json.code }).toEqual({ status: 401, code: 'SIGN_IN_REFUSED' });
    expect(json.message).toMatch(message);
    expect(text).not.toMatch(/vendor/);
  });

  it('is refused in a browser that has not started the sign-in, or too late', async () => {
    await using own = await startSignInServer(issuer.issuer);
    await using other = await own.replica();
    const started = await own.call('GET', '/auth/login');
    const back = new URL(
      (await createBrowser().open(String(started.headers.location), { until: REDIRECT_URI })).url,
    );
    const message = { json: { message: expect.stringMatching(/not started in this browser/) } };
    expect(await other.call('GET', `${back.pathname}${back.search}`)).toMatchObject(message);
    await own.time.advance(11 * MINUTE * 1_000);
    expect(await own.call('GET', `${back.pathname}${back.search}`)).toMatchObject(message);
  });

  it('gets a page with the reason, if it accepts HTML', async () => {
    const { status, headers, text } = await service.call('GET', '/auth/callback?error=%3Cb%3E', {
      headers: { accept: 'text/html' },
    });
    expect({ status, type: headers['content-type'] }).toEqual({
      status: 401,
      type: 'text/html; charset=utf-8',
    });
    expect(text).toContain('SIGN_IN_REFUSED');
    expect(text).not.toContain('<b>');
  });
});

describe('a provider without a usable answer', () => {
  it.each<[string, OidcIssuer['faults'], RegExp]>([
    ['it is overloaded', { answers: { [DISCOVERY]: { status: 503 } } }, /unexpected status/],
    [
      'it redirects',
      { answers: { [DISCOVERY]: { status: 302, location: 'http://169.254.169.254/' } } },
      /unexpected status/,
    ],
    ['it sends no JSON', { answers: { [DISCOVERY]: { status: 200, body: 'vendor' } } }, /malformed/],
    [
      'it sends too much',
      { answers: { [DISCOVERY]: { status: 200, body: 'x'.repeat(2_000_000) } } },
      /more than 1 MiB/,
    ],
    ['it names another issuer', { metadata: { issuer: 'https://evil.example' } }, /another issuer/],
    [
      'its tokens fail',
      { answers: { '/token': { status: 500, body: '{"error":"vendor"}' } } },
      /has a problem|status/,
    ],
    ['its keys fail', { answers: { '/keys': { status: 404 } } }, /unexpected status/],
  ])('gives an error that says so: %s', async (_, faults, message) => {
    await using own = await startSignInServer(issuer.issuer);
    issuer.faults = faults;
    const answer = await signIn(own);
    expect(answer).toMatchObject({ status: 503, json: { code: 'OIDC_UNAVAILABLE' } });
    expect(answer.json.message).toMatch(message);
    expect(answer.text).not.toMatch(/vendor/);
    expect(own.outcomes).toEqual(['failed']);
    // The next attempt does not meet the cached failure.
    issuer.faults = {};
    await own.time.advance(2_000);
    expect((await signIn(own)).status).toBe(303);
  });

  it('gives an error when it is down, and tokens and sessions work meanwhile', async () => {
    const down = await startOidcIssuer(CLIENT_ID);
    await using own = await startSignInServer(down.issuer);
    await using other = await own.replica();
    down.claims = { groups: ['sre'] };
    const back = await signIn(own);
    expect(back.status).toBe(303);
    await down[Symbol.asyncDispose]();
    expect((await other.call('GET', '/auth/login')).json).toMatchObject({
      code: 'OIDC_UNAVAILABLE',
      message: expect.stringMatching(/connection was refused/),
    });
    expect((await own.call('GET', '/api/v1/session')).status).toBe(200);
    expect((await own.server.get('/api/v1/session')).status).toBe(200);
  });

  it('has no effect on a service that has read its document before, for a day', async () => {
    await using own = await startSignInServer(issuer.issuer);
    issuer.clock = own.time;
    const login = async () => (await own.call('GET', '/auth/login')).status;
    expect(await login()).toBe(303);
    issuer.faults = { answers: { [DISCOVERY]: { status: 503 } } };
    await own.time.advance(2 * HOUR_MS);
    const before = issuer.requests.length;
    expect(await login()).toBe(303);
    expect((await signIn(own)).status).toBe(303);
    expect(issuer.requests.slice(before).filter((path) => path === DISCOVERY)).toHaveLength(1);
    expect(own.signIn.problem()).toMatchObject({
      code: 'OIDC_UNAVAILABLE',
      message: expect.stringMatching(/unexpected status; its last document is used until/),
    });
    const logged = () => own.log.filter(({ message }) => /provider/.test(message)).map(({ level }) => level);
    expect(logged()).toEqual(['warn']);
    await own.time.advance(21 * HOUR_MS);
    expect(await login()).toBe(303);
    await own.time.advance(2 * HOUR_MS);
    expect(await login()).toBe(503);
    issuer.faults = {};
    await own.time.advance(2_000);
    expect(await login()).toBe(303);
    expect(own.signIn.problem()).toBeUndefined();
    expect(logged()).toEqual(['warn', 'info']);
  });

  it('cannot vouch for a token while its keys cannot be read: old keys are not kept', async () => {
    await using changing = await startOidcIssuer(CLIENT_ID);
    await using own = await startSignInServer(changing.issuer);
    const token = await changing.sign({ groups: ['sre'] });
    const ask = async () => (await own.server.get('/api/v1/session', token)).json.code;
    expect(await ask()).toBeUndefined();
    await changing.rotateKey();
    changing.faults = { answers: { '/keys': { status: 503 } } };
    vi.setSystemTime(Date.now() + 11 * MINUTE * 1_000);
    try {
      expect(await ask()).toBe('OIDC_UNAVAILABLE');
    } finally {
      vi.useRealTimers();
    }
  });

  it('has no effect on a service whose provider names an address of this machine', async () => {
    const { createIssuerFetch } = await import('../../src/sign-in/issuer-fetch.ts');
    const fetched = createIssuerFetch('https://login.example.com')(`${issuer.issuer}/keys`, {
      ...{ method: 'GET', headers: {}, body: undefined, redirect: 'manual' },
    });
    await expect(fetched).rejects.toMatchObject({ code: 'OIDC_UNAVAILABLE' });
  });
});

describe('a token of the provider as a bearer token', () => {
  it('is accepted with its groups', async () => {
    const token = await issuer.sign({ groups: ['payments'], email: 'ci@example.com', email_verified: true });
    const { json } = await service.server.get('/api/v1/session', token);
    expect(json).toEqual({ name: 'ci@example.com', role: 'reviewer', namespaces: ['payments-*'] });
  });

  it.each<[string, Readonly<Record<string, unknown>>, object, string]>([
    ['another audience', { aud: 'another' }, {}, 'SIGN_IN_REFUSED'],
    ['an expired token', { exp: nowSeconds() - 2 * MINUTE }, {}, 'SIGN_IN_REFUSED'],
    ['a logout token', { groups: ['sre'] }, { typ: 'logout+jwt' }, 'SIGN_IN_REFUSED'],
    ['another issuer', { iss: 'https://evil.example' }, {}, 'UNAUTHENTICATED'],
    ['no group', {}, {}, 'FORBIDDEN'],
  ])('is refused: %s', async (_, claims, header, code) => {
    const { json } = await service.server.get('/api/v1/session', await issuer.sign(claims, header));
    expect(json.code).toBe(code);
  });

  it('is refused with a changed signature, and unknown keys cause few requests', async () => {
    await using own = await startSignInServer(issuer.issuer);
    const token = await issuer.sign({ groups: ['sre'] });
    const [header = '', payload = ''] = token.split('.');
    const forged = `${header}.${payload}.${Buffer.alloc(256).toString('base64url')}`;
    expect((await own.server.get('/api/v1/session', forged)).json.code).toBe('SIGN_IN_REFUSED');
    issuer.faults = { unknownKey: true };
    const before = issuer.requests.length;
    for (let count = 0; count < 20; count++)
      await own.server.get('/api/v1/session', await issuer.sign({ groups: ['sre'], jti: String(count) }));
    expect(issuer.requests.length - before).toBeLessThanOrEqual(1);
  });
});

describe('what is kept of a sign-in', () => {
  it('contains no secret of the client, code or token', async () => {
    await using own = await startSignInServer(issuer.issuer);
    const codes: string[] = [];
    await signIn(own, (back) => {
      codes.push(back.searchParams.get('code') ?? '');
      return back;
    });
    issuer.claims = { groups: ['sre'], nonce: 'x' };
    await signIn(own);
    const kept = JSON.stringify([own.audit.records, own.log]);
    const session = own.cookies.get('__Host-secretbridge-session') ?? '';
    expect(session.length).toBeGreaterThan(100);
    for (const secret of [CLIENT_SECRET, session, ...codes]) expect(kept).not.toContain(secret);
  });

  it('is a limited number of records for each address, with the count of the others', async () => {
    await using own = await startSignInServer(issuer.issuer);
    const refuse = (from: string) => own.call('GET', '/auth/callback', { from });
    const from = (address: string) =>
      own.audit.records.filter(({ actor }) => actor.address === address).length;
    for (let count = 0; count < 25; count++) await refuse('10.0.0.1');
    await refuse('10.0.0.2');
    expect([from('10.0.0.1'), from('10.0.0.2')]).toEqual([20, 1]);
    await own.time.advance(MINUTE * 1_000);
    expect(own.audit.records.at(-1)).toMatchObject({
      ...{ note: 'sign-in', outcome: 'refused', counts: { unrecorded: 5, sources: 1 } },
    });
    await refuse('10.0.0.1');
    expect(from('10.0.0.1')).toBe(21);
    expect(own.outcomes).toHaveLength(27);
  });

  it('is a limited number of records for many addresses, also if the service stops', async () => {
    const own = await startSignInServer(issuer.issuer);
    for (let address = 0; address < 12; address++)
      for (let count = 0; count < 20; count++)
        await own.call('GET', '/auth/callback', { from: `2001:db8:0:${address}::1` });
    expect(own.audit.records).toHaveLength(200);
    await own[Symbol.asyncDispose]();
    expect(own.audit.records.slice(200)).toMatchObject([{ counts: { unrecorded: 40, sources: 2 } }]);
  });

  it('names a person without a role even if their address has reached its limit', async () => {
    await using own = await startSignInServer(issuer.issuer);
    for (let count = 0; count < 25; count++) await own.call('GET', '/auth/callback');
    issuer.claims = { groups: [], preferred_username: 'eve' };
    expect((await signIn(own)).json.code).toBe('ROLE_MISSING');
    expect(own.audit.records.at(-1)).toMatchObject({ actor: { name: 'eve' }, code: 'ROLE_MISSING' });
  });
});
