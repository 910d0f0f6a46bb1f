import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SourceRef } from '../../../src/core/read-result.ts';
import { AzureConfig } from '../../../src/providers/azure-key-vault/config.ts';
import { azureKeyVault } from '../../../src/providers/azure-key-vault/index.ts';
import { type TestDeps, testDeps, untilHang } from '../../conformance/provider-deps.ts';
import { TENANT } from '../../fakes/azure-server/login.ts';
import {
  type AzureServer,
  type AzureServerOptions,
  startAzureServer,
} from '../../fakes/azure-server/server.ts';

export interface OpenOptions {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly deps?: TestDeps;
  readonly server?: AzureServerOptions;
}

export const CLIENT = '22222222-2222-4222-8222-222222222222';
export const CLIENT_SECRET = 'cL13nt~s3cr3t';

export const BY_SECRET = {
  auth: {
    method: 'clientSecret',
    tenantId: TENANT,
    clientId: CLIENT,
    clientSecret: { env: 'CLIENT_SECRET' },
  },
};

/** Opens a fake of Azure with one application, and a provider that logs in as this application. */
export async function openAzure({ server: options = {}, ...rest }: OpenOptions = {}) {
  const server = await startAzureServer(options);
  server.login.applications.set(CLIENT, { secret: CLIENT_SECRET });
  const store = await openOn(server, rest);
  return {
    ...store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Opens a provider on an existing fake server. Closing the provider leaves the server open. */
export async function openOn(server: AzureServer, { config = {}, deps = {} }: Omit<OpenOptions, 'server'>) {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-azure-'));
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, server.ca);
  const env: Record<string, string> = {
    CLIENT_SECRET,
    AZURE_AUTHORITY_HOST: server.authorityHost,
    ...deps.env,
  };
  const parsed = AzureConfig.parse({
    kind: 'azure-key-vault',
    vaultUrl: server.address,
    tls: { caFile },
    ...BY_SECRET,
    ...config,
  });
  const limits = deps.timeoutMs === undefined ? { deadline: untilHang(server) } : {};
  const provider = await azureKeyVault.create(parsed, testDeps({ ...limits, ...deps, env }));
  return {
    server,
    provider,
    folder,
    /** A changed variable takes effect at the next login. */
    env,
    read: async (key: string, more: Partial<SourceRef> = {}) => (await provider.read([{ key, ...more }]))[0],
    /** Returns all requests since the previous call of this function. */
    sent: () => server.requests.splice(0),
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}
