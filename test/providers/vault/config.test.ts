import { describe, expect, it } from 'vitest';
import { VaultConfig } from '../../../src/providers/vault/config.ts';

describe('a Vault login in the configuration', () => {
  const problems = (config: object) => {
    const result = VaultConfig.safeParse({ kind: 'vault', address: 'https://v', ...config });
    return result.success ? [] : result.error.issues.map(({ path }) => path.join('.'));
  };
  const cert = { method: 'cert', certFile: 'a', keyFile: 'b' };

  it('requires `https` for a login with a certificate, and rejects a second client certificate', () => {
    expect(problems({ auth: cert })).toEqual([]);
    expect(problems({ auth: cert, address: 'http://127.0.0.1' })).toEqual(['address']);
    expect(problems({ auth: cert, tls: { certFile: 'a', keyFile: 'b' } })).toEqual(['tls.certFile']);
  });

  it.each(['token', 'appRole', 'userpass', 'ldap', 'jwt', 'kubernetes', 'cert'])(
    'accepts a mount path for the login method %s',
    (method) => {
      const fields = {
        token: { token: { env: 'A' } },
        appRole: { roleId: 'a', secretId: { env: 'A' } },
        userpass: { username: 'a', password: { env: 'A' } },
        ldap: { username: 'a', password: { env: 'A' } },
        jwt: { role: 'a', jwt: { env: 'A' } },
        kubernetes: { role: 'a' },
        cert: { certFile: 'a', keyFile: 'b' },
      }[method];
      expect(problems({ auth: { method, mountPath: 'x/y', ...fields } })).toEqual([]);
      expect(problems({ auth: { method, mountPath: '../sys', ...fields } })).not.toEqual([]);
    },
  );
});

describe('the address of a Vault store', () => {
  const isTaken = (address: string) =>
    VaultConfig.safeParse({ kind: 'vault', address, auth: { method: 'token', token: { env: 'A' } } }).success;

  it.each(['https://v/v1', 'https://v:8200/v1/', 'https://gateway/vault/v1'])(
    'rejects the address %s, because it contains the API path',
    (address) => expect(isTaken(address)).toBe(false),
  );

  it.each(['https://v', 'https://v:8200/', 'https://gateway/vault', 'https://v1'])(
    'accepts the address %s',
    (address) => expect(isTaken(address)).toBe(true),
  );
});
