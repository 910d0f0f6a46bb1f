import { describe, expect, it } from 'vitest';
import { VaultConfig } from '../../src/providers/vault/config.ts';

const parse = (more: object) =>
  VaultConfig.safeParse({
    kind: 'vault',
    address: 'https://vault.internal:8200',
    auth: { method: 'token', token: { env: 'T' } },
    ...more,
  });

describe('the configuration of a Vault store', () => {
  it.each([
    'http://localhost:8200',
    'http://127.0.0.1:8200',
    'http://127.1.2.3',
    'http://[::1]:8200',
    'https://vault/path',
  ])('accepts the vault address %s', (address) => {
    expect(parse({ address }).success).toBe(true);
  });

  it.each([
    'http://vault:8200',
    'http://127.0.0.1.example.org',
    'http://localhost.example.org',
    'https://u:p@vault',
    'https://vault?x',
    'https://vault#x',
    'ftp://vault',
    'vault:8200',
    '',
    'http://0.0.0.0:8200',
  ])('rejects the vault address %j', (address) => {
    expect(parse({ address }).success).toBe(false);
  });

  it('rejects a namespace that cannot be sent in a header', () => {
    expect(parse({ namespace: 'team/a' }).success).toBe(true);
    expect(parse({ namespace: 'tëam' }).success).toBe(false);
  });

  it('accepts an `http` address of another host only with `allowHttp`', () => {
    expect(parse({ address: 'http://vault:8200', allowHttp: true }).success).toBe(true);
  });

  it.each(['..', 'a/../b', '/secret', 'secret/', 'a//b', 'a b', 'a?b', ''])(
    'rejects the mount path %j',
    (mount) => {
      expect(parse({ mount }).success).toBe(false);
    },
  );

  it('rejects a token in the configuration file itself, an unknown field, and a client certificate without its key', () => {
    expect(parse({ auth: { method: 'token', token: 'hvs.x' } }).success).toBe(false);
    expect(parse({ adress: 'x' }).success).toBe(false);
    expect(parse({ tls: { certFile: 'a' } }).success).toBe(false);
  });

  it('accepts each of the seven login methods', () => {
    const reference = { env: 'X' };
    const logins = [
      { method: 'token', token: reference },
      { method: 'appRole', roleId: 'id', secretId: reference, secretIdWrapped: true },
      { method: 'userpass', username: 'ann', password: reference },
      { method: 'ldap', username: reference, password: reference },
      { method: 'jwt', role: 'r', jwt: reference },
      { method: 'kubernetes', role: 'r', tokenFile: '/t', mountPath: 'kubernetes/eu' },
      { method: 'cert', certFile: 'c', keyFile: 'k', role: 'r' },
    ];
    for (const auth of logins) expect([auth.method, parse({ auth }).success]).toEqual([auth.method, true]);
  });
});
