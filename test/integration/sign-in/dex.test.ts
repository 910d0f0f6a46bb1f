import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkSignIn } from '../../../src/commands/doctor/sign-in.ts';
import { Http } from '../../../src/config/shape/service.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { SecretValue } from '../../../src/core/secret-value.ts';
import { type Browser, createBrowser, type Page } from '../../sign-in/browser.ts';
import { REDIRECT_URI, type SignInServer, startSignInServer } from '../../sign-in/harness.ts';
import { CLIENT_ID, CLIENT_SECRET } from '../../sign-in/oidc-provider.ts';
import { type Dex, startDex } from '../services/dex.ts';
import { BUILD_MS } from '../services/go-program.ts';

// Real sign-ins with Dex, a provider that many clusters use.

const PUBLIC_URL = 'http://localhost';

let dex: Dex;

beforeAll(async () => {
  dex = await startDex({
    ...{ clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, redirectUri: REDIRECT_URI },
    people: [
      { email: 'ann@example.com', name: 'ann', groups: ['sre'] },
      { email: 'eve@example.com', name: 'eve', groups: ['lunch'] },
    ],
  });
}, BUILD_MS);

afterAll(() => dex?.[Symbol.asyncDispose]());

/** Sends the form of a page, and returns the page that follows. */
function submit(browser: Browser, page: Page, form: Readonly<Record<string, string>>, until?: string) {
  const [, action = ''] = /<form method="post" action="([^"]*)"/.exec(page.text) ?? [];
  expect(action, page.text).not.toBe('');
  const url = new URL(action.replaceAll('&amp;', '&'), page.url).href;
  return browser.open(url, { form, ...(until === undefined ? {} : { until }) });
}

const logIn = (browser: Browser, page: Page, login: string, until?: string) =>
  submit(browser, page, { login, password: dex.password }, until);

async function signIn(service: SignInServer, login: string) {
  const browser = createBrowser();
  const started = await service.call('GET', '/auth/login');
  const form = await browser.open(String(started.headers.location));
  const { pathname, search } = new URL((await logIn(browser, form, login, REDIRECT_URI)).url);
  return service.call('GET', `${pathname}${search}`);
}

const post = async (service: SignInServer, url: string, body: object) =>
  (
    await service.call('POST', url, {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    })
  ).json;

describe('a sign-in with Dex', () => {
  it('on the page ends with the role of the group', async () => {
    await using service = await startSignInServer(dex.issuer);
    expect(await signIn(service, 'ann@example.com')).toMatchObject({ status: 303 });
    const { json } = await service.call('GET', '/api/v1/session');
    expect(json).toMatchObject({ name: 'ann@example.com', role: 'operator' });
    expect(service.audit.records.at(-1)).toMatchObject({
      ...{ note: 'sign-in', outcome: 'ok' },
      actor: { name: 'ann@example.com', subject: expect.stringContaining(`${dex.issuer}#`) },
    });
  });

  it('is refused without a group, and with a code that was used before', async () => {
    await using service = await startSignInServer(dex.issuer);
    expect((await signIn(service, 'eve@example.com')).json.code).toBe('ROLE_MISSING');
    const browser = createBrowser();
    const started = await service.call('GET', '/auth/login');
    const pending = [...service.cookies];
    const form = await browser.open(String(started.headers.location));
    const { pathname, search } = new URL((await logIn(browser, form, 'ann@example.com', REDIRECT_URI)).url);
    expect((await service.call('GET', `${pathname}${search}`)).status).toBe(303);
    for (const [name, value] of pending) service.cookies.set(name, value);
    expect(await service.call('GET', `${pathname}${search}`)).toMatchObject({
      ...{ status: 401, json: { code: 'SIGN_IN_REFUSED' } },
    });
  });

  it('on the command line is confirmed in a browser, and renewed with a refresh token', async () => {
    await using service = await startSignInServer(dex.issuer);
    const device = await post(service, '/auth/device', {});
    const { deviceCode, userCode } = device;
    expect(await post(service, '/auth/token', { deviceCode })).toMatchObject({ pending: true });
    const browser = createBrowser();
    const code = await browser.open(String(device.verificationUri));
    const form = await submit(browser, code, { user_code: String(userCode) });
    expect((await logIn(browser, form, 'ann@example.com')).text).toContain('Login Successful');
    const first = await post(service, '/auth/token', { deviceCode });
    expect(first).toMatchObject({ name: 'ann@example.com', token: expect.stringMatching(/^sbs_/) });
    const second = await post(service, '/auth/token', { renewal: first.renewal });
    expect(second).toMatchObject({ name: 'ann@example.com' });
    const { json } = await service.server.get('/api/v1/session', String(second.token));
    expect(json).toMatchObject({ name: 'ann@example.com', role: 'operator' });
  });

  it('passes all checks of `doctor`, which finds a wrong redirect address', async () => {
    const check = async (publicUrl: string) => {
      const oidc = {
        ...{ issuer: dex.issuer, clientId: CLIENT_ID, clientSecret: { env: 'SECRET' }, publicUrl },
        roles: [{ group: 'sre', role: 'operator' }],
      };
      const config = { http: Http.parse({ oidc }) } as Parameters<typeof checkSignIn>[0];
      const credential = async () => SecretValue.fromText(CLIENT_SECRET);
      const findings = await checkSignIn(config, { clock: systemClock, credential });
      return findings.flatMap(({ name, error, warnings }) =>
        error || warnings ? [`${name}: ${error?.detail}`] : [],
      );
    };
    expect(await check(PUBLIC_URL)).toEqual([]);
    expect(await check('https://other.example.com')).toEqual([
      'sign-in: redirect address https://other.example.com/auth/callback: the provider refuses the client or this redirect address',
    ]);
  });
});
