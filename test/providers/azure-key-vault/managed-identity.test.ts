import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { IDENTITY_HEADER } from '../../fakes/azure-server/login.ts';
import { type AzureServer, startAzureServer } from '../../fakes/azure-server/server.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { openOn } from './harness.ts';

// The Azure library determines the endpoint only once in a process. So all tests in this file use the same endpoint.
let server: AzureServer;

beforeAll(async () => {
  server = await startAzureServer();
  vi.stubEnv('IDENTITY_ENDPOINT', server.identityEndpoint);
  vi.stubEnv('IDENTITY_HEADER', IDENTITY_HEADER);
  server.secrets.put('a', '1');
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await server[Symbol.asyncDispose]();
});

const open = (clientId: string | undefined, method = 'managedIdentity', env: Record<string, string> = {}) =>
  openOn(server, {
    config: { auth: { method, ...(clientId === undefined ? {} : { clientId }) } },
    deps: { env, clock: createManualTime(Date.now()) },
  });

describe('a managed identity', () => {
  it('requests a token from IDENTITY_ENDPOINT, once for many reads', async () => {
    await using store = await open(undefined);
    expect(reveal(await store.read('a'))).toBe('1');
    await store.provider.read(Array.from({ length: 20 }, () => ({ key: 'a' })));
    expect(server.login.counts).toMatchObject({ identity: 1, token: 0 });
  });

  it('logs in as the managed identity with the configured client ID', async () => {
    server.login.identities.add('user-assigned');
    await using store = await open('user-assigned');
    expect(reveal(await store.read('a'))).toBe('1');
  });

  it('logs in with a managed identity if `default` finds no other login, and takes the client ID from AZURE_CLIENT_ID', async () => {
    server.login.identities.add('from-env');
    await using store = await open(undefined, 'default', { AZURE_CLIENT_ID: 'from-env' });
    expect(reveal(await store.read('a'))).toBe('1');
  });

  it.each(['managedIdentity', 'default'])(
    'replaces a token of `%s` that the vault refuses',
    async (method) => {
      const id = `revoked-${method.toLowerCase()}`;
      server.login.identities.add(id);
      const env = method === 'default' ? { AZURE_CLIENT_ID: id } : {};
      await using store = await open(method === 'default' ? undefined : id, method, env);
      await using other = await open(method === 'default' ? undefined : id, method, env);
      expect(reveal(await store.read('a'))).toBe('1');
      expect(reveal(await other.read('a'))).toBe('1');
      for (let times = 1; times <= 2; times += 1) {
        server.login.revokeAll();
        const { identity } = server.login.counts;
        expect(reveal(await store.read('a'))).toBe('1');
        expect(reveal(await other.read('a'))).toBe('1');
        expect(server.login.counts.identity - identity).toBe(2);
      }
    },
  );

  it('replaces a refused token if the request is the first for its type of object', async () => {
    await using store = await open(undefined);
    expect(reveal(await store.read('a'))).toBe('1');
    server.login.revokeAll();
    const { identity } = server.login.counts;
    const [result] = await store.provider.read([{ key: 'unknown', object: 'certificate' }]);
    expect(result?.kind).toBe('absent');
    expect(server.login.counts.identity - identity).toBe(1);
  });

  it('reports a refused login if the managed identity does not exist', async () => {
    await using store = await open('nobody');
    const result = await store.read('a');
    expect(codeOf(result)).toBe('AUTH_FAILED');
    expect(result).toMatchObject({
      error: { detail: expect.stringContaining('the managed identity does not exist') },
    });
  });

  it.each([
    ['unavailable', 'STORE_UNAVAILABLE'],
    ['not found at another host', 'STORE_UNAVAILABLE'],
    ['throttled, for 2 seconds', 'THROTTLED'],
    ['reset', 'STORE_UNAVAILABLE'],
    ['hang', 'TIMEOUT'],
    ['html', 'BAD_ANSWER'],
    ['redirect', 'BAD_ANSWER'],
  ] as const)('converts the fault "%s" of the endpoint to %s after one request', async (fault, code) => {
    const clientId = `id-${fault}`.replace(/\W/g, '-');
    server.login.identities.add(clientId);
    await using store = await open(clientId);
    server.fail(fault, /^identity/);
    const before = server.requests.filter((line) => line.startsWith('identity')).length;
    expect(codeOf(await store.read('a'))).toBe(code);
    expect(server.requests.filter((line) => line.startsWith('identity')).length).toBe(before + 1);
    server.fail(undefined);
    expect(reveal(await store.read('a'))).toBe('1');
  });

  it('keeps a managed identity usable for a store after another store with this identity was closed', async () => {
    server.login.identities.add('shared');
    const first = await open('shared');
    expect(reveal(await first.read('a'))).toBe('1');
    await first[Symbol.asyncDispose]();
    server.login.identities.add('shared-2');
    await using second = await open('shared-2');
    expect(reveal(await second.read('a'))).toBe('1');
  });
});
