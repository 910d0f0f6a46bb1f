import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startAwsServer } from '../fakes/aws-server.ts';
import { TENANT } from '../fakes/azure-server/login.ts';
import { startAzureServer } from '../fakes/azure-server/server.ts';
import { startFaultProxy } from '../fakes/fault-proxy.ts';
import { startVaultServer } from '../fakes/vault-server.ts';
import type { Stored, StoreName } from './table/case.ts';
import type { ValueStore } from './value-suite.ts';

/** A fake store that can make a running search fail. */
export interface FakeValueStore extends ValueStore {
  /** Makes the next search below `path` fail halfway. The path must have many keys. */
  breakSearch(path: string): void | Promise<void>;
}

const LIMITS = { requestsPerSecond: 10_000, concurrency: 8 };
export const TOKEN_AUTH = { method: 'token', token: { env: 'TOKEN' } };
export const STATIC_AUTH = {
  method: 'static',
  accessKeyId: { env: 'KEY_ID' },
  secretAccessKey: { env: 'SECRET_KEY' },
};

/** Returns the content of a Vault secret as JSON text. */
export function mapOf({ value, isObject }: Stored): string {
  return isObject ? String(value) : JSON.stringify({ value: String(value) });
}

async function openVault(kvVersion: 1 | 2): Promise<FakeValueStore> {
  const server = await startVaultServer();
  const proxy = await startFaultProxy(server.address);
  const mount = kvVersion === 2 ? 'secret' : 'kv1';
  const versions = new Map<string, number>();
  return {
    name: `vault-${kvVersion}`,
    config: {
      name: 's',
      kind: 'vault',
      address: proxy.address,
      mount,
      kvVersion,
      auth: TOKEN_AUTH,
      limits: LIMITS,
    },
    env: { TOKEN: server.rootToken },
    async put(key, stored, keeps) {
      server.put(mount, key, keeps ?? mapOf(stored), stored.tags);
      versions.set(key, (versions.get(key) ?? 0) + 1);
      return kvVersion === 1 ? undefined : String(versions.get(key));
    },
    breakSearch: (path) => proxy.set('server error', new RegExp(`${path.replace(/\/$/, '')}/deep`)),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function openAws(): Promise<FakeValueStore> {
  const server = await startAwsServer();
  const proxy = await startFaultProxy(server.address);
  return {
    name: 'aws',
    config: {
      name: 's',
      kind: 'aws-secrets-manager',
      region: 'eu-west-1',
      endpoint: proxy.address,
      auth: STATIC_AUTH,
      limits: LIMITS,
    },
    env: { KEY_ID: server.root.accessKeyId, SECRET_KEY: server.root.secretAccessKey },
    async put(key, { value, tags }) {
      const secret = server.store.put(key, value, tags === undefined ? {} : { tags });
      return secret.versions.at(-1)?.id;
    },
    breakSearch: () => void proxy.arrival(/./).then(() => proxy.set('server error')),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function openParameters(): Promise<FakeValueStore> {
  const server = await startAwsServer();
  const proxy = await startFaultProxy(server.address);
  return {
    name: 'parameters',
    config: {
      name: 's',
      kind: 'aws-parameter-store',
      region: 'eu-west-1',
      endpoint: proxy.address,
      auth: STATIC_AUTH,
      limits: LIMITS,
    },
    env: { KEY_ID: server.root.accessKeyId, SECRET_KEY: server.root.secretAccessKey },
    put: async (key, { value, tags }) =>
      String(server.parameters.put(key, String(value), tags === undefined ? {} : { tags })),
    breakSearch: () => void proxy.arrival(/./).then(() => proxy.set('server error')),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function openAzure(): Promise<FakeValueStore> {
  const server = await startAzureServer();
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-values-'));
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, server.ca);
  const clientId = '22222222-2222-4222-8222-222222222222';
  const secret = 'cL13nt~of~the~table';
  server.login.applications.set(clientId, { secret });
  return {
    name: 'azure',
    config: {
      name: 's',
      kind: 'azure-key-vault',
      vaultUrl: server.address,
      tls: { caFile },
      auth: { method: 'clientSecret', tenantId: TENANT, clientId, clientSecret: { env: 'CLIENT_SECRET' } },
      limits: LIMITS,
    },
    env: { CLIENT_SECRET: secret, AZURE_AUTHORITY_HOST: server.authorityHost },
    put: async (key, { value, tags }) =>
      server.secrets.put(key, String(value), tags === undefined ? {} : { tags }),
    breakSearch() {
      server.nextLink = (link) => {
        server.fail('server error');
        return link;
      };
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

async function openFiles(): Promise<FakeValueStore> {
  const path = await mkdtemp(join(tmpdir(), 'secretbridge-values-'));
  return {
    name: 'files',
    config: { name: 's', kind: 'files', path, limits: { requestsPerSecond: 10_000 } },
    env: {},
    async put(key, { value }) {
      await mkdir(dirname(join(path, key)), { recursive: true });
      await writeFile(join(path, key), value);
      return undefined;
    },
    async breakSearch(folder) {
      await rm(join(path, folder, 'deep'), { recursive: true });
      await writeFile(join(path, folder, 'deep'), '');
      await rm(join(path, folder, 'deep'));
      const { symlink } = await import('node:fs/promises');
      await symlink('/', join(path, folder, 'deep'));
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}

export const FAKES: Readonly<Record<StoreName, () => Promise<FakeValueStore>>> = {
  'vault-2': () => openVault(2),
  'vault-1': () => openVault(1),
  aws: openAws,
  parameters: openParameters,
  azure: openAzure,
  files: openFiles,
};
