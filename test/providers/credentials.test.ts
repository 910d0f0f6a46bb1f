import { expect, it } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';
import { resolveCredential } from '../../src/providers/credentials.ts';
import { secureContextWithCa } from '../../src/providers/tls.ts';

// An empty credential must never be used for a login.

it.each([
  ['an environment variable', { env: 'EMPTY' }, 'environment variable EMPTY is not set or empty'],
  ['a file', { file: '/dev/null' }, 'file /dev/null cannot be read: it is not a regular file'],
  [
    'a key of a Secret',
    { secretRef: { name: 's', key: 'k' } },
    "key k of Secret s in secretbridge's own namespace is missing or empty",
  ],
])('reports an empty credential as missing if it comes from %s', async (_, reference, detail) => {
  const secret = async () => SecretValue.fromBytes(new Uint8Array());
  await expect(resolveCredential(reference, { env: { EMPTY: '' }, secret })).rejects.toMatchObject({
    code: 'CREDENTIAL_MISSING',
    detail,
  });
});

it.each([
  ['token\n', 'token'],
  ['token\r\n', 'token'],
  ['token\n\n', 'token\n'],
  ['two\nlines', 'two\nlines'],
  ['token ', 'token '],
])('removes only one newline at the end of a credential from a Secret: %j', async (text, expected) => {
  const secret = async () => SecretValue.fromText(text);
  const value = await resolveCredential({ secretRef: { name: 's', key: 'k' } }, { env: {}, secret });
  expect(value.revealText()).toBe(expected);
});

it('reports a credential as missing if its Secret key contains only a newline', async () => {
  const secret = async () => SecretValue.fromText('\n');
  await expect(
    resolveCredential({ secretRef: { name: 's', key: 'k' } }, { env: {}, secret }),
  ).rejects.toMatchObject({ code: 'CREDENTIAL_MISSING' });
});

it('rejects a CA file that is not a regular file', async () => {
  await expect(secureContextWithCa('/dev/null')).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    detail: 'file /dev/null cannot be read: it is not a regular file',
  });
});
