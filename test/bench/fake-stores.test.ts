import { describe, expect, it } from 'vitest';
import { fakeAws } from '../../bench/fake-stores/aws.ts';
import { fakeAzure } from '../../bench/fake-stores/azure.ts';
import type { FakeStore, Incoming } from '../../bench/fake-stores/fake-store.ts';
import { fakeVault } from '../../bench/fake-stores/vault.ts';

const ADDRESS = 'https://127.0.0.1:1';

function ask(double: FakeStore, path: string, more: Partial<Incoming> = {}) {
  const url = new URL(path, ADDRESS);
  const { operation, status, body } = double.answer(
    { method: 'GET', url, headers: {}, body: '', ...more },
    ADDRESS,
  );
  return { operation, status, body: body === '' ? {} : (JSON.parse(body) as Record<string, unknown>) };
}

describe('the fake AWS', () => {
  const send = (double: FakeStore, operation: string, input: object) =>
    ask(double, '/', {
      headers: { 'x-amz-target': `secretsmanager.${operation}` },
      body: JSON.stringify(input),
    });

  it('lists 100 secrets per page', () => {
    const aws = fakeAws();
    for (let n = 0; n < 250; n += 1) aws.put(`k${n}`, 'v');
    let pages = 0;
    for (let token: unknown, first = true; first || token !== undefined; first = false) {
      token = send(aws, 'ListSecrets', token === undefined ? {} : { NextToken: token }).body.NextToken;
      pages += 1;
    }
    expect(pages).toBe(3);
  });

  it('accepts batches of at most 20 keys', () => {
    const aws = fakeAws();
    const keys = Array.from({ length: 21 }, (_, n) => `k${n}`);
    for (const key of keys) aws.put(key, 'v');
    expect(send(aws, 'BatchGetSecretValue', { SecretIdList: keys.slice(1) }).status).toBe(200);
    expect(send(aws, 'BatchGetSecretValue', { SecretIdList: keys }).status).toBe(400);
  });
});

describe('the fake Azure', () => {
  it('requires a token, and lists 25 secrets per page', () => {
    const azure = fakeAzure();
    for (let n = 0; n < 60; n += 1) azure.put(`k${n}`, 'v');
    expect(ask(azure, '/secrets')).toMatchObject({ operation: 'challenge', status: 401 });
    const form = new URLSearchParams({
      client_id: '22222222-2222-4222-8222-222222222222',
      client_secret: azure.env(ADDRESS).BENCH_CLIENT_SECRET ?? '',
      scope: 'https://vault.azure.net/.default',
    });
    const path = '/11111111-1111-4111-8111-111111111111/oauth2/v2.0/token';
    const { body } = ask(azure, path, { method: 'POST', body: form.toString() });
    const headers = { authorization: `Bearer ${String(body.access_token)}` };
    const page = ask(azure, '/secrets', { headers });
    expect(page.operation).toBe('GetSecrets');
    expect(page.body.value).toHaveLength(25);
  });
});

describe('the fake Vault', () => {
  it('issues a token that can read values and their versions', () => {
    const vault = fakeVault();
    vault.put('a/b', 'one');
    vault.put('a/b', 'two');
    expect(ask(vault, '/v1/secret/data/a/b').status).toBe(403);
    const login = ask(vault, '/v1/auth/approle/login', { method: 'POST', body: '{}' });
    const { client_token: token } = login.body.auth as { client_token: string };
    const { status, body } = ask(vault, '/v1/secret/data/a/b', { headers: { 'x-vault-token': token } });
    expect(status).toBe(200);
    expect(body.data).toMatchObject({ data: { value: 'two' }, metadata: { version: 2 } });
    expect(ask(vault, '/v1/secret/data/no', { headers: { 'x-vault-token': token } }).body).toEqual({
      errors: [],
    });
  });
});
