import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { certificateExpiry, checkTarget, MAX_SECRET_BYTES } from '../../src/sync/checks.ts';
import { createAuthority } from '../fakes/certificates.ts';
import { data } from './sample.ts';

const codeOf = (type: string, values: Readonly<Record<string, string>>) =>
  checkTarget(type, data(values))?.code;

describe('target of type kubernetes.io/tls', () => {
  const root = createAuthority();
  const middle = root.intermediate('Middle');
  const { cert, key } = middle.issue();
  const check = (crt: string, pem: string) =>
    checkTarget('kubernetes.io/tls', data({ 'tls.crt': crt, 'tls.key': pem }));
  const encrypted = createPrivateKey(key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'x',
  });
  const sec1 = createPrivateKey(key).export({ type: 'sec1', format: 'pem' });

  it('a TLS target expires when its first certificate expires', () => {
    const expiry = certificateExpiry('kubernetes.io/tls', data({ 'tls.crt': `${cert}${middle.ca}` }));
    expect(expiry).toBe(Date.parse(new X509Certificate(cert).validTo));
    for (const crt of ['', 'x', '-----BEGIN CERTIFICATE-----'])
      expect(certificateExpiry('kubernetes.io/tls', data({ 'tls.crt': crt }))).toBeUndefined();
    expect(certificateExpiry('Opaque', data({ 'tls.crt': cert }))).toBeUndefined();
    expect(certificateExpiry('kubernetes.io/tls', data({}))).toBeUndefined();
  });

  it.each(['ec', 'rsa', 'ed25519'] as const)('the TLS check accepts a key pair of type %s', (keyType) => {
    const pair = middle.issue({ keyType });
    expect(check(pair.cert, pair.key)).toBeUndefined();
    expect(check(pair.cert, middle.issue({ keyType }).key)?.code).toBe('TLS_MISMATCH');
  });

  it.each([
    ['a chain', `${cert}${middle.ca}`, key],
    ['CRLF', cert.replace(/\n/g, '\r\n'), key.replace(/\n/g, '\r\n')],
    ['surrounding white space', `\n \n${cert}\n\n`, `\n\n${key}\n \n`],
    ['no final newline', cert.trim(), key.trim()],
    ['text around the blocks', `subject=CN = x\n${cert}`, `Bag Attributes: <none>\n${key}`],
    ['CR in the text around', `10 %\r20 %\r\n${cert}x\ry\n${middle.ca}\r`, key],
    ['trailing blanks', cert.replace(/\n/g, ' \t\r\n'), key.replace(/\n/g, ' \n')],
    ['a key in SEC 1', cert, sec1.toString()],
  ])('the TLS check accepts certificates and a key with %s', (_, crt, pem) => {
    expect(check(crt, pem)).toBeUndefined();
  });

  it.each([
    ['the key of another certificate', cert, middle.issue().key, 'tls.key is not the key of tls.crt'],
    [
      'the issuer first',
      `${middle.ca}${cert}`,
      key,
      'tls.key is the key of a certificate that is not the first in tls.crt',
    ],
    [
      'a damaged issuer',
      `${cert}${middle.ca.replace('MII', 'AAA')}`,
      key,
      'tls.crt: certificate 2 does not parse',
    ],
    ['no certificate', 'x', key, 'tls.crt: there is no PEM certificate'],
    ['no key', cert, 'x', 'tls.key: there is no PEM private key'],
    ['an empty key', cert, '', 'tls.key: there is no PEM private key'],
    ['key and certificate swapped', key, cert, 'tls.crt: there is no PEM certificate'],
    ['an encrypted key', cert, encrypted.toString(), 'tls.key is encrypted'],
    ['a damaged key', cert, key.replace('MIG', 'AAA'), 'tls.key does not parse'],
    ['an indented certificate', cert.replace(/^/gm, '  '), key, 'tls.crt is indented'],
    ['a certificate behind a page break', `\f${cert}`, key, 'tls.crt is indented'],
    ['an indented end of a certificate', cert.replace('-----END', ' -----END'), key, 'tls.crt is indented'],
    ['an indented end of a key', cert, key.replace('-----END', '\t-----END'), 'tls.key is indented'],
    ['a certificate of CR alone', cert.replace(/\n/g, '\r'), key, 'tls.crt has a line that ends in CR alone'],
    ['one CR line end in it', cert, key.replace('\n', '\r'), 'tls.key has a line that ends in CR alone'],
    [
      'a CR line end in the issuer',
      cert + middle.ca.replace(/\n/g, '\r'),
      key,
      'tls.crt has a line that ends in CR alone',
    ],
    ['a cut certificate', cert.slice(0, -30), key, 'tls.crt: a PEM block has no end'],
  ])('the TLS check rejects certificates and a key with %s', (_, crt, pem, detail) => {
    expect(check(crt, pem)).toMatchObject({ code: 'TLS_MISMATCH', detail });
  });

  it('the TLS check refuses the target if either the certificate or the key is missing', () => {
    expect(checkTarget('kubernetes.io/tls', data({ 'tls.crt': cert }))).toMatchObject({
      code: 'TYPE_KEYS_MISSING',
      detail: 'tls.key',
    });
    expect(codeOf('kubernetes.io/tls', {})).toBe('TYPE_KEYS_MISSING');
  });

  it('the TLS check shows no private key in an error message', () => {
    const error = check(cert, middle.issue().key);
    for (const line of key.split('\n').slice(1, 3)) expect(JSON.stringify(error)).not.toContain(line);
  });
});

describe('target with registry credentials', () => {
  it.each([
    ['kubernetes.io/dockerconfigjson', '.dockerconfigjson', '{"auths":{"r.example":{"auth":"eDp5"}}}'],
    ['kubernetes.io/dockerconfigjson', '.dockerconfigjson', '{"auths":{},"credHelpers":{}}'],
    ['kubernetes.io/dockercfg', '.dockercfg', '{"r.example":{"auth":"eDp5"}}'],
  ])(
    'the check of registry credentials accepts the type %s with the key %s and the value %s',
    (type, key, text) => {
      expect(codeOf(type, { [key]: text })).toBeUndefined();
    },
  );

  it.each([
    ['kubernetes.io/dockerconfigjson', '.dockerconfigjson', '{"r.example":{"auth":"eDp5"}}'],
    ['kubernetes.io/dockerconfigjson', '.dockerconfigjson', '{"auths":[]}'],
    ['kubernetes.io/dockerconfigjson', '.dockerconfigjson', '{"auths":{"r.example":"eDp5"}}'],
    ['kubernetes.io/dockerconfigjson', '.dockerconfigjson', 'null'],
    ['kubernetes.io/dockerconfigjson', '.dockerconfigjson', ''],
    ['kubernetes.io/dockerconfigjson', 'config.json', '{"auths":{}}'],
    ['kubernetes.io/dockercfg', '.dockercfg', '{"r.example":"eDp5"}'],
    ['kubernetes.io/dockercfg', '.dockercfg', '[]'],
    ['kubernetes.io/dockercfg', '.dockerconfigjson', '{}'],
  ])(
    'the check of registry credentials refuses the type %s with the key %s and the value %s',
    (type, key, text) => {
      expect(codeOf(type, { [key]: text })).toBe('TYPE_KEYS_MISSING');
    },
  );
});

describe('target of another type', () => {
  it.each([
    ['kubernetes.io/basic-auth', { username: 'u' }, undefined],
    ['kubernetes.io/basic-auth', { password: '' }, undefined],
    ['kubernetes.io/basic-auth', { user: 'u' }, 'TYPE_KEYS_MISSING'],
    ['kubernetes.io/ssh-auth', { 'ssh-privatekey': 'k' }, undefined],
    ['kubernetes.io/ssh-auth', { 'ssh-privatekey': '' }, 'TYPE_KEYS_MISSING'],
    ['kubernetes.io/ssh-auth', { id_rsa: 'k' }, 'TYPE_KEYS_MISSING'],
    ['kubernetes.io/service-account-token', { token: 't' }, 'TYPE_FORBIDDEN'],
    ['bootstrap.kubernetes.io/token', {}, 'TYPE_FORBIDDEN'],
    ['Opaque', {}, undefined],
    ['example.com/own', { any: 'x' }, undefined],
    ['constructor', {}, undefined],
  ])(
    'given the type %s and the data %j, the check of a target returns the error: %s',
    (type, values, code) => {
      const result = checkTarget(type, data(values as Record<string, string>));
      expect(result?.code).toBe(code);
      if (code === undefined) expect(result).toBeUndefined();
    },
  );

  it('the check of a target accepts at most 1 MiB in all values together', () => {
    const half = 'x'.repeat(MAX_SECRET_BYTES / 2);
    expect(codeOf('Opaque', { a: half, b: half })).toBeUndefined();
    expect(codeOf('Opaque', { a: half, b: half, c: 'x' })).toBe('TOO_LARGE');
  });
});
