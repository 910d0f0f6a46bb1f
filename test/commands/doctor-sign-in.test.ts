import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkSignIn } from '../../src/commands/doctor/sign-in.ts';
import { Http } from '../../src/config/shape/service.ts';
import { systemClock } from '../../src/core/clock.ts';
import { AppError } from '../../src/core/errors.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc-issuer.ts';
import { CLIENT_ID, CLIENT_SECRET, startOidcProvider } from '../sign-in/oidc-provider.ts';

const PUBLIC_URL = 'https://bridge.example.com';
const REDIRECT = `${PUBLIC_URL}/auth/callback`;
const S256 = { code_challenge_methods_supported: ['S256'] };

let issuer: OidcIssuer;

beforeAll(async () => {
  issuer = await startOidcIssuer(CLIENT_ID);
});

afterAll(() => issuer[Symbol.asyncDispose]());

beforeEach(() => {
  issuer.faults = { metadata: S256 };
});

const secret = async () => SecretValue.fromText(CLIENT_SECRET);

/** Returns the failed checks and the warnings, as `<check>: <code> <remedy>`. */
async function problems(
  address = issuer.issuer,
  { clock = systemClock, credential = secret, clientId = CLIENT_ID } = {},
): Promise<{ readonly all: readonly string[]; readonly failed: readonly string[] }> {
  const http = Http.parse({
    oidc: {
      ...{ issuer: address, clientId, clientSecret: { env: 'SECRET' }, publicUrl: PUBLIC_URL },
      roles: [{ group: 'sre', role: 'operator' }],
    },
  });
  const findings = await checkSignIn({ http } as Parameters<typeof checkSignIn>[0], { clock, credential });
  return {
    all: findings.map(({ name }) => name.replace(address, 'ISSUER')),
    failed: findings.flatMap(({ name, error, warnings = [] }) =>
      [...(error === undefined ? [] : [error]), ...warnings].map(
        ({ code, message, remedy }) => `${name.replace(address, 'ISSUER')}: ${code} ${message} ${remedy}`,
      ),
    ),
  };
}

describe('the checks of `doctor` for the sign-in', () => {
  it('pass with a usable provider, and name what they have checked', async () => {
    const { all, failed } = await problems();
    expect(failed).toEqual([]);
    expect(all).toEqual([
      'sign-in: client secret',
      'sign-in: reach ISSUER',
      'sign-in: clock',
      'sign-in: issuer',
      'sign-in: keys',
      'sign-in: PKCE with S256',
      'sign-in: device flow for `secretbridge login`',
      `sign-in: redirect address ${REDIRECT}`,
    ]);
  });

  it.each<[string, OidcIssuer['faults'], RegExp]>([
    [
      'another issuer',
      { metadata: { ...S256, issuer: 'https://other.example' } },
      /^sign-in: issuer: SIGN_IN_REFUSED .*http\.oidc\.issuer/,
    ],
    [
      'no PKCE with S256',
      { metadata: { code_challenge_methods_supported: ['plain'] } },
      /^sign-in: PKCE with S256: SIGN_IN_REFUSED .*S256 for this client/,
    ],
    [
      'no device endpoint',
      { metadata: { ...S256, device_authorization_endpoint: undefined } },
      /^sign-in: device flow .*no device endpoint.*review page only/,
    ],
    [
      'keys that cannot be read',
      { metadata: S256, answers: { '/keys': { status: 500 } } },
      /^sign-in: keys: OIDC_UNAVAILABLE/,
    ],
    [
      'an unknown redirect address',
      { metadata: S256, answers: { '/authorize': { status: 400 } } },
      /^sign-in: redirect address .*SIGN_IN_REFUSED .*https:\/\/bridge\.example\.com\/auth\/callback$/,
    ],
    [
      'an overloaded provider',
      { answers: { '/.well-known/openid-configuration': { status: 503 } } },
      /^sign-in: reach ISSUER: OIDC_UNAVAILABLE .*unexpected status/,
    ],
    [
      'a malformed document',
      { answers: { '/.well-known/openid-configuration': { status: 200, body: 'vendor' } } },
      /^sign-in: reach ISSUER: OIDC_UNAVAILABLE .*malformed/,
    ],
  ])('report %s with a remedy', async (_, faults, expected) => {
    issuer.faults = faults;
    const { failed } = await problems();
    expect(failed).toEqual([expect.stringMatching(expected)]);
  });

  it('report a provider that is down, a clock that is wrong, and a secret that is missing', async () => {
    const down = await startOidcIssuer(CLIENT_ID);
    await down[Symbol.asyncDispose]();
    expect((await problems(down.issuer)).failed).toEqual([
      expect.stringMatching(/^sign-in: reach ISSUER: OIDC_UNAVAILABLE .*refused/),
    ]);
    const clock = { now: () => Date.now() + 3_600_000 };
    expect((await problems(issuer.issuer, { clock })).failed).toEqual([
      expect.stringMatching(/^sign-in: clock: CLOCK_SKEWED .*ahead of the provider's/),
    ]);
    const credential = () => Promise.reject(new AppError('CREDENTIAL_MISSING'));
    expect((await problems(issuer.issuer, { credential })).failed).toEqual([
      expect.stringMatching(/^sign-in: client secret: CREDENTIAL_MISSING/),
    ]);
  });

  it('find out with a real provider whether it knows the client and the redirect address', async () => {
    await using known = await startOidcProvider({ claims: {}, redirectUris: [REDIRECT] });
    expect((await problems(known.issuer)).failed).toEqual([]);
    expect((await problems(known.issuer, { clientId: 'other' })).failed).toEqual([
      expect.stringMatching(/redirect address .*refuses the client/),
    ]);
    await using other = await startOidcProvider({
      claims: {},
      redirectUris: ['https://other.example.com/auth/callback'],
    });
    expect((await problems(other.issuer)).failed).toEqual([
      expect.stringMatching(/redirect address .*refuses the client/),
    ]);
  });
});
