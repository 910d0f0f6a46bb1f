import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createRequest } from './http.ts';
import { openbao } from './inject.ts';
import { borrowOpenBao, startOpenBao } from './openbao.ts';

describe('the OpenBao of the run', () => {
  it('stores secrets in a key/value version 2 engine at secret/', async () => {
    const { request } = openbao();
    const written = await request('POST', '/v1/secret/data/services/test', { data: { pass: 'p@ss\nwörd' } });
    expect(written.status).toBe(200);
    const read = await request('GET', '/v1/secret/data/services/test');
    expect(read.body).toMatchObject({ data: { data: { pass: 'p@ss\nwörd' }, metadata: { version: 1 } } });
    const list = await request('LIST', '/v1/secret/metadata/services');
    expect(list.body).toMatchObject({ data: { keys: ['test'] } });
    expect((await request('DELETE', '/v1/secret/metadata/services/test')).status).toBe(204);
  });

  it('creates more mounts, and rejects a wrong token', async () => {
    const { address, request } = openbao();
    expect(
      (await request('POST', '/v1/sys/mounts/services-kv1', { type: 'kv', options: { version: '1' } }))
        .status,
    ).toBe(204);
    expect((await request('DELETE', '/v1/sys/mounts/services-kv1')).status).toBe(204);
    const unauthenticated = createRequest({ address, headers: { 'x-vault-token': 'wrong' } });
    expect((await unauthenticated('GET', '/v1/secret/data/services/test')).status).toBe(403);
  });
});

describe('startOpenBao', () => {
  it('serves HTTPS with its own certificate authority while other OpenBao servers run', async () => {
    await using one = await startOpenBao({ tls: true });
    await using other = await startOpenBao({ tls: true });
    expect(one.address).toMatch(/^https:/);
    expect(other.address).not.toBe(one.address);

    const headers = { 'x-vault-token': one.rootToken };
    const ca = readFileSync(one.caFile ?? '', 'utf8');
    const trusted = createRequest({ address: one.address, ca, headers });
    expect((await trusted('GET', '/v1/sys/health')).status).toBe(200);
    const otherServer = createRequest({ address: other.address, ca, headers });
    await expect(otherServer('GET', '/v1/sys/health')).rejects.toThrow();
  });

  it('borrows the server at a configured address, and keeps the server running', async () => {
    const { address, token, request } = openbao();
    const env = { SECRETBRIDGE_TEST_VAULT_ADDR: address, SECRETBRIDGE_TEST_VAULT_TOKEN: token };
    const borrowed = await borrowOpenBao(env);
    expect(borrowed).toMatchObject({ address, rootToken: token, borrowed: true });
    await borrowed?.stop();
    expect((await request('GET', '/v1/sys/health')).status).toBe(200);
  });

  it.each([
    ['a wrong token', () => openbao().address],
    ['an address without a server', () => 'http://127.0.0.1:1'],
  ])('fails instead of starting another server if the environment contains %s', async (_, address) => {
    const env = { SECRETBRIDGE_TEST_VAULT_ADDR: address(), SECRETBRIDGE_TEST_VAULT_TOKEN: 'wrong' };
    await expect(borrowOpenBao(env)).rejects.toThrow('Check SECRETBRIDGE_TEST_VAULT_ADDR');
  });
});
