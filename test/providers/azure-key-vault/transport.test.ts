import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { KeyVault } from '../../../src/providers/azure-key-vault/clients.ts';
import { AzureConfig } from '../../../src/providers/azure-key-vault/config.ts';
import { azureKeyVault } from '../../../src/providers/azure-key-vault/index.ts';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { testDeps } from '../../conformance/provider-deps.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { listen } from '../../fakes/loopback.ts';
import { BY_SECRET, openAzure } from './harness.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('the connection to Key Vault', () => {
  it.each([
    ['for another name', { names: ['vault.example.org'] }, 'another name'],
    ['that has expired', { notAfter: new Date(Date.now() - 1_000) }, 'expired'],
    ['that is not valid yet', { notBefore: new Date(Date.now() + 3_600_000) }, 'not valid yet'],
  ])('rejects a server certificate %s', async (_, certificate, words) => {
    await using store = await openAzure({ server: { certificate } });
    const result = await store.read('a');
    expect(codeOf(result)).toBe('TLS_FAILED');
    expect(result).toMatchObject({ error: { detail: expect.stringContaining(words) } });
    expect((await store.provider.check()).map(({ error }) => error?.code)).toEqual(['TLS_FAILED']);
    expect(store.sent()).toEqual([]);
  });

  it('rejects a server certificate from an unknown issuer, even if NODE_TLS_REJECT_UNAUTHORIZED is 0', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    await using store = await openAzure({ config: { tls: {} } });
    expect(codeOf(await store.read('a'))).toBe('TLS_FAILED');
  });

  it.each([
    ['/none/ca.pem', 'cannot be read: ENOENT'],
    [import.meta.filename, 'contains no PEM certificates'],
  ])('rejects the CA file %s, because it is missing or not PEM', async (caFile, words) => {
    const config = AzureConfig.parse({
      kind: 'azure-key-vault',
      vaultUrl: 'https://127.0.0.1:9',
      tls: { caFile },
    });
    const error = await azureKeyVault.create(config, testDeps()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', detail: expect.stringContaining(words) });
    expect(error).toMatchObject({ detail: expect.stringContaining(caFile) });
  });

  it.each([
    ['https://127.0.0.1:9', 'STORE_UNAVAILABLE', 'refused'],
    ['https://vault.invalid', 'STORE_UNAVAILABLE', 'DNS'],
  ])('reports an outage if the vault URL is %s', async (vaultUrl, code, words) => {
    await using store = await openAzure({ config: { vaultUrl } });
    const result = await store.read('a');
    expect(codeOf(result)).toBe(code);
    expect(result).toMatchObject({ error: { detail: expect.stringContaining(words) } });
  });

  it('uses one connection for many reads', async () => {
    await using store = await openAzure();
    store.server.secrets.put('a', '1');
    for (let index = 0; index < 20; index += 1) await store.read('a');
    expect(store.server.connections).toBe(2); // The vault and the authority have one connection each.
  });

  it('uses the proxy from the environment, and trusts the same authorities as without a proxy', async () => {
    await using proxy = await startProxy();
    vi.stubEnv('HTTPS_PROXY', proxy.address);
    await using store = await openAzure();
    store.server.secrets.put('a', '1');
    expect(reveal(await store.read('a'))).toBe('1');
    expect((await store.provider.check()).filter(({ error }) => error !== undefined)).toEqual([]);
    const hosts = [store.server.address, store.server.authorityHost].map((address) => new URL(address).host);
    expect(new Set(proxy.hosts)).toEqual(new Set(hosts));
    await using other = await openAzure({ server: { authority: createAuthority() }, config: { tls: {} } });
    expect(codeOf(await other.read('a'))).toBe('TLS_FAILED');
  });
});

describe('an authentication challenge from Key Vault', () => {
  const ask = async (vaultUrl: string, resource: string) => {
    const requests: string[] = [];
    const deps = testDeps();
    const vault = new KeyVault({
      config: AzureConfig.parse({ kind: 'azure-key-vault', vaultUrl, ...BY_SECRET }),
      deps,
      transport: {
        send: async () => ({
          status: 401,
          text: '',
          isJson: true,
          headers: new Map([
            ['www-authenticate', `Bearer authorization="https://a/b", resource="${resource}"`],
          ]),
          retryAfterMs: undefined,
          date: undefined,
        }),
        [Symbol.dispose]: () => undefined,
      },
      login: {
        credential: {
          getToken: async (scopes) => {
            requests.push(String(scopes));
            return { token: 'x', expiresOnTimestamp: Date.now() + 3_600_000 };
          },
        },
        forget: () => undefined,
        confirm: () => undefined,
        isConfirmed: () => false,
        throwIfRefused: () => undefined,
        refuse: () => undefined,
        lastFailedWith: () => false,
      },
    });
    const error = await vault
      .call('secrets', (client) => client.getSecret('a'), undefined)
      .catch((client: unknown) => client);
    return { requests, error };
  };

  it("requests a token for a challenge only if the challenge names the vault's own cloud", async () => {
    for (const suffix of ['vault.azure.net', 'vault.azure.cn', 'vault.usgovcloudapi.net']) {
      const { requests } = await ask(`https://contoso.${suffix}`, `https://${suffix}`);
      expect(requests).toEqual([`https://${suffix}/.default`]);
    }
    for (const resource of [
      'https://management.azure.com',
      'https://evil.example',
      'https://azure.net.evil.example',
    ]) {
      const { requests, error } = await ask('https://contoso.vault.azure.net', resource);
      expect(requests).toEqual([]);
      expect(error).toMatchObject({ code: 'BAD_ANSWER' });
    }
  });
});

/** Starts a proxy that supports tunnels with CONNECT (RFC 9110, section 9.3.6). */
async function startProxy() {
  const hosts: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer();
  server.on('connect', ({ url = '' }: IncomingMessage, socket: Socket, head: Buffer) => {
    hosts.push(url);
    const { hostname, port } = new URL(`http://${url}`);
    const upstream = connect(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    for (const end of [socket, upstream]) {
      sockets.add(end);
      end.on('error', () => undefined);
    }
  });
  const port = await listen(server);
  return {
    address: `http://127.0.0.1:${port}`,
    hosts,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
