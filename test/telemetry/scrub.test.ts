import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';
import { createScrubber } from '../../src/telemetry/scrub.ts';

const SECRET = 'S3cr3t/v+lue "with" ünï\nlines';

function scrub(text: string, ...secrets: string[]): string {
  const scrubber = createScrubber();
  for (const secret of secrets) scrubber.register(SecretValue.fromText(secret));
  return scrubber.scrub(text);
}

const FORMS: readonly (readonly [string, (secret: string) => string])[] = [
  ['plain', (secret) => secret],
  ['JSON', (secret) => JSON.stringify(secret).slice(1, -1)],
  ['JSON in JSON', (secret) => JSON.stringify(JSON.stringify(secret)).slice(3, -3)],
  ['URL-encoded', encodeURIComponent],
  [
    'URL-encoded in lower case',
    (secret) => encodeURIComponent(secret).replace(/%../g, (octet) => octet.toLowerCase()),
  ],
  ['form-encoded', (secret) => encodeURIComponent(secret).replaceAll('%20', '+')],
  ['base64', (secret) => Buffer.from(secret).toString('base64')],
  ['base64url', (secret) => Buffer.from(secret).toString('base64url')],
  ['hex', (secret) => Buffer.from(secret).toString('hex')],
  ['upper-case hex', (secret) => Buffer.from(secret).toString('hex').toUpperCase()],
];

describe('a registered credential', () => {
  it.each(FORMS)('a registered credential is hidden in the form: %s', (_, form) => {
    expect(scrub(`before ${form(SECRET)} after`, SECRET)).toBe('before [secret] after');
  });

  it.each(['u:', 'us:', 'user:'])(
    'a registered credential is hidden in a basic authentication header whose decoded text starts with %s',
    (user) => {
      const header = Buffer.from(`${user}${SECRET}`).toString('base64');
      const shown = scrub(`Basic ${header}`, SECRET);
      expect(shown).toMatch(/^Basic [A-Za-z0-9+/]{0,8}\[secret\][A-Za-z0-9+/=]{0,4}$/);
    },
  );

  it('a registered credential is hidden completely when it contains another credential', () => {
    expect(scrub('a password-long b password c', 'password', 'password-long')).toBe(
      'a [secret] b [secret] c',
    );
  });

  it('a registered credential is hidden in every line after its registration, even in the same event loop turn', async () => {
    const scrubber = createScrubber();
    scrubber.register(SecretValue.fromText('password-one'));
    expect(scrubber.scrub('password-one password-two')).toBe('[secret] password-two');
    scrubber.register(SecretValue.fromText('password-two'));
    expect(scrubber.scrub('password-one password-two')).toBe('[secret] [secret]');
    await new Promise(setImmediate);
    expect(scrubber.scrub('password-one password-two')).toBe('[secret] [secret]');
  });

  it('a registered credential is not hidden if it is so short that ordinary text would match', () => {
    expect(scrub('an ordinary line', 'an', 'ine')).toBe('an ordinary line');
  });

  it('a registered credential is hidden regardless of its characters', () => {
    const unit = fc.constantFrom('a', 'B', '1', '/', '+', '"', '\\', '\n', ' ', '%', '\0', 'ü', '秘', '🔑');
    fc.assert(
      fc.property(fc.string({ unit, minLength: 4 }), fc.constantFrom(...FORMS), (text, [, form]) => {
        const shown = form(text);
        expect(scrub(`<${shown}>`, text)).not.toContain(shown);
      }),
    );
  });
});

const PEM =
  '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEabc+/=\n-----END RSA PRIVATE KEY-----';

describe('text that looks like a credential', () => {
  it.each([
    ['a Vault token', 'token hvs.CAESIJx1_abc-DEFghijklmnop.', 'token [secret].'],
    ['a batch token', 'hvb.AAAAAQJgxDgqsGNorpoOR7hPZ5SU', '[secret]'],
    ['an old Vault token', 'X-Vault-Token: s.iyNUhq8Ov4hIAx6snw5mB2nL', 'X-Vault-Token: [secret]'],
    [
      'an AWS access key',
      'id AKIAIOSFODNN7EXAMPLE.',
      'id AKIAIOSFODNN7EXAMPLE.'.replace(/AKIA\w+/, '[secret]'),
    ],
    ['a JWT', 'x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_-123 y', 'x [secret] y'],
    ['a PEM private key', `key ${PEM} end`, 'key [secret] end'],
    ['a PEM private key in JSON', JSON.stringify({ a: PEM, b: 'c' }), '{"a":"[secret]","b":"c"}'],
    [
      'a truncated PEM private key',
      JSON.stringify({ a: PEM.slice(0, 60), b: 'c' }),
      '{"a":"[secret]","b":"c"}',
    ],
    ['a password in a URL', 'redis://user:p%40ss!@redis:6379/0', 'redis://[secret]@redis:6379/0'],
    ['a password without a user in a URL', 'redis://:hunter2@redis', 'redis://[secret]@redis'],
    ['a bearer token', 'Authorization: Bearer abcDEF123456.-_~', 'Authorization: Bearer [secret]'],
  ])('text that looks like a credential is hidden: %s', (_, text, expected) => {
    expect(scrub(text)).toBe(expected);
  });

  it.each([
    'https://vault.internal:8200/v1/secret/data/a?b=c@d',
    'payments/payments-db',
    'https://user@host/path:x',
    'files.payments-database-credentials-v2',
    `0badcafe:${'0123456789abcdef'.repeat(4)}`,
    'bearer of bad news',
    '-----BEGIN CERTIFICATE-----',
  ])('the text %s does not look like a credential', (text) => {
    expect(scrub(text)).toBe(text);
  });

  // A backtracking expression would take minutes for each of these texts.
  it.each([
    ['PEM', '-----BEGIN PRIVATE KEY-----'.repeat(20_000)],
    ['PEM dashes', `-----BEGIN PRIVATE KEY-----${'-'.repeat(500_000)}`],
    ['JWT', 'eyJ'.repeat(200_000)],
    ['JWT parts', 'eyJaaaaaaa.'.repeat(50_000)],
    ['tokens', 's.'.repeat(250_000)],
    ['URLs', '://a:'.repeat(100_000)],
    ['an endless URL', `://${'a:'.repeat(250_000)}`],
    ['bearers', 'Bearer '.repeat(70_000)],
    ['keys', 'AKIA'.repeat(125_000)],
  ])('the search for credentials takes linear time: %s', (_, text) => {
    const started = performance.now();
    scrub(text);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
