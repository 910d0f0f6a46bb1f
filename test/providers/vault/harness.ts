import { VaultConfig } from '../../../src/providers/vault/config.ts';
import { vault } from '../../../src/providers/vault/index.ts';
import { testDeps, untilHang } from '../../conformance/provider-deps.ts';
import { startFaultProxy } from '../../fakes/fault-proxy.ts';
import { startVaultServer } from '../../fakes/vault-server.ts';

export interface OpenOptions {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly deps?: Parameters<typeof testDeps>[0];
}

/**
 * Opens a fake server, a fault proxy in front of it, and a provider. The server has the mounts `secret` (version 2) and
 * `kv1` (version 1).
 */
export async function openVault({ config = {}, deps = {} }: OpenOptions = {}) {
  const server = await startVaultServer();
  const proxy = await startFaultProxy(server.address);
  const env: Record<string, string> = {
    TOKEN: server.rootToken,
    ROLE_ID: server.appRole.roleId,
    SECRET_ID: server.appRole.secretId,
    ...deps.env,
  };
  const parsed = VaultConfig.parse({
    kind: 'vault',
    address: proxy.address,
    auth: { method: 'token', token: { env: 'TOKEN' } },
    ...config,
  });
  const limits = deps.timeoutMs === undefined ? { deadline: untilHang(proxy) } : {};
  const provider = await vault.create(parsed, testDeps({ ...limits, ...deps, env }));
  return {
    server,
    proxy,
    provider,
    /** A changed variable takes effect at the next login. */
    env,
    read: async (key: string, version?: string) =>
      (await provider.read([version === undefined ? { key } : { key, version }]))[0],
    /** Returns all requests since the previous call of this function, without their query. */
    sent() {
      return server.requests.splice(0).map((line) => line.replace('/v1/', '').replace(/\?.*/, ''));
    },
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

export const APP_ROLE = {
  auth: { method: 'appRole', roleId: { env: 'ROLE_ID' }, secretId: { env: 'SECRET_ID' } },
};
