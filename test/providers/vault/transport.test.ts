import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { AppError } from '../../../src/core/errors.ts';
import { VaultConfig } from '../../../src/providers/vault/config.ts';
import { fromStatus } from '../../../src/providers/vault/errors.ts';
import { createAgent, send } from '../../../src/providers/vault/transport.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { openVault } from './harness.ts';

const authority = createAuthority();

async function serveTls(options: ServerOptions) {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-tls-'));
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, authority.ca);
  let connections = 0;
  const server = createServer(options, (_, outgoing) => {
    outgoing.writeHead(200, { 'content-type': 'application/json' });
    outgoing.end('{}');
  });
  server.on('secureConnection', () => (connections += 1));
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    folder,
    caFile,
    address: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await rm(folder, { recursive: true });
    },
  };
}

async function get(address: string, tls: Readonly<Record<string, string>> = {}, times = 1) {
  const auth = { method: 'token', token: { env: 'T' } };
  const agent = await createAgent(VaultConfig.parse({ kind: 'vault', address, tls, auth }));
  try {
    const options = { method: 'GET', uri: `${address}/v1/x`, signal: new AbortController().signal };
    for (let time = 1; time < times; time += 1) await send(agent, systemClock, options);
    return await send(agent, systemClock, options);
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, detail: error.detail };
    throw error;
  } finally {
    await agent.destroy();
  }
}

describe('TLS', () => {
  it('trusts the authority of `caFile`, and keeps its connections', async () => {
    await using server = await serveTls(authority.issue({ names: ['127.0.0.1'] }));
    expect(await get(server.address, { caFile: server.caFile }, 20)).toMatchObject({ status: 200 });
    expect(server.connections()).toBeLessThanOrEqual(2);
  });

  it('says that the issuer is unknown', async () => {
    await using server = await serveTls(authority.issue({ names: ['127.0.0.1'] }));
    const other = join(server.folder, 'other.pem');
    await writeFile(other, createAuthority().ca);
    const expected = { code: 'TLS_FAILED', detail: expect.stringContaining('issuer') };
    expect(await get(server.address)).toEqual(expected);
    expect(await get(server.address, { caFile: other })).toEqual(expected);
  });

  it('says that the name is another, unless `serverName` names it', async () => {
    await using server = await serveTls(authority.issue({ names: ['vault.example.org'] }));
    const { caFile } = server;
    expect(await get(server.address, { caFile })).toEqual({
      code: 'TLS_FAILED',
      detail: expect.stringContaining('another name'),
    });
    expect(await get(server.address, { caFile, serverName: 'vault.example.org' })).toMatchObject({
      status: 200,
    });
  });

  it('says that the certificate has expired, or is not valid yet', async () => {
    const names = ['127.0.0.1'];
    const past = new Date(Date.now() - 3_600_000);
    const future = new Date(Date.now() + 3_600_000);
    await using expired = await serveTls(authority.issue({ names, notAfter: past }));
    await using early = await serveTls(authority.issue({ names, notBefore: future }));
    expect(await get(expired.address, { caFile: expired.caFile })).toEqual({
      code: 'TLS_FAILED',
      detail: expect.stringContaining('expired'),
    });
    expect(await get(early.address, { caFile: early.caFile })).toEqual({
      code: 'TLS_FAILED',
      detail: expect.stringContaining('not valid yet'),
    });
  });

  it('shows a client certificate when asked', async () => {
    await using server = await serveTls({
      ...authority.issue({ names: ['127.0.0.1'] }),
      requestCert: true,
      ca: authority.ca,
    });
    const { caFile, folder } = server;
    const client = authority.issue();
    const [certFile, keyFile] = [join(folder, 'client.pem'), join(folder, 'client.key')];
    await writeFile(certFile, client.cert);
    await writeFile(keyFile, client.key);
    expect(await get(server.address, { caFile, certFile, keyFile })).toMatchObject({ status: 200 });
    expect(await get(server.address, { caFile })).toMatchObject({
      code: expect.stringMatching(/^(TLS_FAILED|STORE_UNAVAILABLE)$/),
    });
  });

  it('is not switched off by the environment', async () => {
    await using server = await serveTls(authority.issue({ names: ['127.0.0.1'] }));
    const before = { ...process.env };
    const warning = vi.spyOn(process, 'emitWarning').mockReturnValue(); // Node's, about this variable
    Object.assign(process.env, { NODE_TLS_REJECT_UNAUTHORIZED: '0', VAULT_SKIP_VERIFY: 'true' });
    try {
      expect(await get(server.address)).toMatchObject({ code: 'TLS_FAILED' });
    } finally {
      warning.mockRestore();
      process.env = before;
    }
  });

  it('names a file that cannot be read', async () => {
    const opening = createAgent(
      VaultConfig.parse({
        kind: 'vault',
        address: 'https://localhost:1',
        tls: { caFile: '/nowhere/ca.pem' },
        auth: { method: 'token', token: { env: 'T' } },
      }),
    );
    await expect(opening).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      detail: expect.stringContaining('/nowhere/ca.pem'),
    });
  });

  it('says when the other side does not speak it', async () => {
    const server = createHttpServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    expect(await get(`https://127.0.0.1:${port}`)).toEqual({
      code: 'TLS_FAILED',
      detail: expect.stringContaining('does not speak TLS'),
    });
    server.close();
    await once(server, 'close');
  });
});

describe('the connection', () => {
  it('that is refused, or whose name does not exist, is told so', async () => {
    expect(await get('http://127.0.0.1:1')).toEqual({
      code: 'STORE_UNAVAILABLE',
      detail: expect.stringContaining('refused'),
    });
    expect(await get('https://vault.invalid')).toEqual({
      code: 'STORE_UNAVAILABLE',
      detail: expect.stringContaining('DNS'),
    });
  });

  it('carries the token, the namespace and nothing of VAULT_ variables', async () => {
    const before = { ...process.env };
    Object.assign(process.env, {
      VAULT_ADDR: 'http://127.0.0.1:1',
      VAULT_TOKEN: 'from-env',
      VAULT_NAMESPACE: 'from-env',
      VAULT_PREFIX: '/from-env',
      HTTP_PROXY: 'http://127.0.0.1:1',
    });
    try {
      await using store = await openVault({ config: { namespace: 'team/a' } });
      await store.read('a');
      await store.provider.check();
      for (const { path, headers } of store.proxy.requests) {
        expect(JSON.stringify([path, headers])).not.toContain('from-env');
        expect(headers['x-vault-namespace']).toBe(path.includes('sys/health') ? undefined : 'team/a');
        expect(headers['x-vault-token']).toBe(
          path.includes('sys/health') ? undefined : store.server.rootToken,
        );
      }
    } finally {
      process.env = before;
    }
  });

  it('does not follow a redirect', async () => {
    await using store = await openVault();
    store.proxy.set('redirect', /secret\/data/);
    const [result] = await store.provider.read([{ key: 'a' }]);
    expect(result).toMatchObject({
      error: { code: 'BAD_ANSWER', detail: expect.stringContaining('redirect') },
    });
  });

  it('tells how long to wait, in seconds or until a date', async () => {
    await using store = await openVault();
    const waits: (number | undefined)[] = [];
    for (const fault of [
      'throttled',
      'throttled, for 2 seconds',
      'throttled, for an hour',
      'throttled, until a date',
    ] as const) {
      store.proxy.set(fault, /secret\/data/);
      const [result] = await store.provider.read([{ key: 'a' }]);
      waits.push(result?.kind === 'failed' ? result.error.retryAfterMs : -1);
    }
    expect(waits.slice(0, 3)).toEqual([undefined, 2_000, 3_600_000]);
    expect(waits[3]).toBeGreaterThanOrEqual(0);
    expect(waits[3]).toBeLessThanOrEqual(2_000);
  });

  it('hangs for one call only as long as its time limit', async () => {
    await using store = await openVault({ deps: { timeoutMs: 1_000 } });
    await store.read('a');
    store.proxy.set('hang', /k1$/);
    const results = await store.provider.read([{ key: 'k0' }, { key: 'k1' }, { key: 'k2' }]);
    expect(results.map((result) => (result.kind === 'failed' ? result.error.code : result.kind))).toEqual([
      'absent',
      'TIMEOUT',
      'absent',
    ]);
  });
});

describe('the checks of doctor', () => {
  const names = async (store: Awaited<ReturnType<typeof openVault>>) =>
    (await store.provider.check()).map(({ name, error }) => `${name} ${error?.code ?? 'ok'}`);

  it('tell reach, login and mount apart', async () => {
    await using store = await openVault();
    expect(await names(store)).toEqual(['reach ok', 'login ok', 'mount ok']);
    store.proxy.set('reset');
    expect(await names(store)).toEqual(['reach STORE_UNAVAILABLE']);
    store.proxy.set('html');
    expect(await names(store)).toEqual(['reach BAD_ANSWER']);

    await using wrong = await openVault({ config: { mount: 'nowhere' } });
    expect(await names(wrong)).toEqual(['reach ok', 'login ok', 'mount ACCESS_DENIED']);
  });

  it('see clocks that differ, in both directions, and go on', async () => {
    await using store = await openVault();
    store.server.skewMs = 120_000;
    const [clock, reach] = await store.provider.check();
    expect(clock).toMatchObject({ name: 'clock', error: { detail: expect.stringContaining('behind') } });
    expect(reach).toEqual({ name: 'reach' });
    store.server.skewMs = -120_000;
    expect((await store.provider.check())[0]?.error?.detail).toContain('ahead');
  });
});

describe('a status', () => {
  it.each([
    [301, 'BAD_ANSWER'],
    [400, 'BAD_ANSWER'],
    [401, 'AUTH_FAILED'],
    [403, 'ACCESS_DENIED'],
    [412, 'STORE_UNAVAILABLE'],
    [418, 'BAD_ANSWER'],
    [429, 'THROTTLED'],
    [472, 'STORE_UNAVAILABLE'],
    [473, 'STORE_UNAVAILABLE'],
    [500, 'STORE_UNAVAILABLE'],
    [502, 'STORE_UNAVAILABLE'],
    [599, 'STORE_UNAVAILABLE'],
  ])('of %i is %s', (status, code) => {
    const answer = {
      status,
      text: '{"errors":["x"]}',
      isJson: true,
      retryAfterMs: undefined,
      date: undefined,
    };
    expect(fromStatus(answer).code).toBe(code);
  });
});
