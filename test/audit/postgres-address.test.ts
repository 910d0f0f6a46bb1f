import { describe, expect, it } from 'vitest';
import { parseAddress, tlsOptions } from '../../src/audit/postgres/address.ts';
import { SecretValue } from '../../src/core/secret-value.ts';

const parse = (url: string, tls?: { readonly caFile?: string }) =>
  parseAddress(SecretValue.fromText(url), tls);

describe('parseAddress', () => {
  it('parseAddress returns server, database, user and password, and an address without the password', () => {
    expect(parse('postgres://ann:p%40ss%2F%25%20w@db.internal:6432/au%20dit\n')).toEqual({
      host: 'db.internal',
      port: 6432,
      database: 'au dit',
      user: 'ann',
      password: 'p@ss/% w',
      tls: 'name',
      displayUrl: 'postgres://db.internal:6432/au%20dit',
    });
  });

  it('parseAddress defaults to the standard port, a database with the name of the user, and no password', () => {
    expect(parse('postgresql://ann@db')).toMatchObject({ port: 5432, database: 'ann', password: '' });
  });

  it('parseAddress accepts IP addresses as the host', () => {
    expect(parse('postgres://a:b@[::1]:1/c')).toMatchObject({ host: '::1', tls: undefined });
    expect(parse('postgres://a:b@10.0.0.1/c')).toMatchObject({ host: '10.0.0.1', tls: 'name' });
  });

  it.each([
    ['localhost', '', undefined, undefined],
    ['127.0.0.1', '', undefined, undefined],
    ['127.0.0.1', '', {}, 'name'],
    ['127.0.0.1', '?sslmode=require', undefined, 'name'],
    ['db', '', undefined, 'name'],
    ['db', '?sslmode=disable', undefined, undefined],
    ['db', '?sslmode=require', undefined, 'name'],
    ['db', '?sslmode=verify-ca', {}, 'authority'],
    ['db', '?sslmode=verify-full&application_name=x&connect_timeout=5', undefined, 'name'],
  ])(
    'given the host %s, the parameters "%s" and `tls` %o, parseAddress chooses the TLS mode %s',
    (host, query, tls, expected) => {
      expect(parse(`postgres://a:b@${host}/c${query}`, tls).tls).toBe(expected);
    },
  );

  it.each([
    ['mysql://ann:hunter2@db/x', 'expected postgres://'],
    ['postgres://ann:hunter2@', 'expected postgres://'],
    ['ann:hunter2@db', 'expected postgres://'],
    ['postgres://ann:hunter2@one,two:5432/x', 'expected postgres://'],
    ['postgres://:hunter2@db/x', 'the user is missing'],
    ['postgres://ann:hunter2%@db/x', 'write a literal `%` as `%25`'],
    ['postgres://ann:x@db/x?hunter2', '`sslmode` is the only supported parameter'],
    ['postgres://ann:hunter2@db/x?sslrootcert=ca.pem', 'set certificates in `tls`'],
    ['postgres://ann:hunter2@db/x?sslmode=prefer', '`sslmode` must be one of disable, require'],
    ['postgres://ann:hunter2@db/x?sslmode=hunter2', '`sslmode` must be one of disable, require'],
    ['postgres://ann:hunter2@db/x?sslmode=toString', '`sslmode` must be one of disable, require'],
  ])('parseAddress rejects a URL without quoting it in the error: %s', (url, detail) => {
    expect(() => parse(url)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(detail) }),
    );
    expect(() => parse(url)).not.toThrow(/hunter2|ann/);
  });

  it('parseAddress rejects `sslmode=disable` together with `tls`', () => {
    expect(() => parse('postgres://a:b@db/c?sslmode=disable', { caFile: 'x' })).toThrow(
      /contradict each other/,
    );
  });
});

describe('tlsOptions', () => {
  it('tlsOptions returns nothing if TLS is not used', async () => {
    expect(await tlsOptions(parse('postgres://a:b@localhost/c'))).toBeUndefined();
  });

  it('tlsOptions always verifies the certificate', async () => {
    for (const mode of ['require', 'verify-ca', 'verify-full'])
      expect(await tlsOptions(parse(`postgres://a:b@db/c?sslmode=${mode}`))).toMatchObject({
        rejectUnauthorized: true,
      });
  });

  it('tlsOptions names the missing file in the error if a file does not exist', async () => {
    await expect(tlsOptions(parse('postgres://a:b@db/c'), { caFile: '/no/such.pem' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('file /no/such.pem cannot be read: ENOENT'),
    });
  });
});
