import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { untilHang } from '../conformance/provider-deps.ts';
import { type AwsServer, startAwsServer } from '../fakes/aws-server.ts';
import { TENANT } from '../fakes/azure-server/login.ts';
import { type AzureServer, startAzureServer } from '../fakes/azure-server/server.ts';
import { createAuthority } from '../fakes/certificates.ts';
import { type FaultProxy, startFaultProxy } from '../fakes/fault-proxy.ts';
import { startVaultServer, type VaultServer } from '../fakes/vault-server.ts';
import type { MatrixStore } from './failures.ts';
import { type Front, type Names, replaceNames, startFront } from './front.ts';

const LIMITS = { requestsPerSecond: 10_000, concurrency: 2 };
const TOKEN = 'token-of-the-matrix';
const CLIENT = '22222222-2222-4222-8222-222222222222';

export interface NetworkStore extends MatrixStore {
  readonly front: Front;
  loseName(): void;
}

export interface VaultStore extends NetworkStore {
  readonly server: VaultServer;
  readonly proxy: FaultProxy;
  readonly mount: string;
  readonly kvVersion: 1 | 2;
}

export interface AwsStore extends NetworkStore {
  readonly server: AwsServer;
  readonly proxy: FaultProxy;
}

export interface AzureStore extends NetworkStore {
  readonly server: AzureServer;
}

interface Way extends AsyncDisposable {
  readonly front: Front;
  readonly names: Names;
  readonly caFile: string;
  readonly address: string;
  readonly heal: () => void;
  readonly loseName: () => void;
}

/** A name and TLS before a server. */
async function openWay(
  host: string,
  upstream: { port: number; secure: boolean },
  authority = createAuthority(),
): Promise<Way> {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-matrix-'));
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, authority.ca);
  const front = await startFront({ authority, host, upstream });
  const names = replaceNames([host]);
  let isChanged = false;
  return {
    front: {
      ...front,
      show(face) {
        isChanged = true;
        front.show(face);
      },
    },
    names,
    caFile,
    address: `https://${host}:${front.port}`,
    heal() {
      names.find(host);
      if (isChanged) front.show('good');
      isChanged = false;
    },
    loseName() {
      names.lose(host);
      front.cut();
    },
    async [Symbol.asyncDispose]() {
      names[Symbol.dispose]();
      await front[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

const portOf = (address: string) => Number(new URL(address).port);

export async function openVaultStore(kvVersion: 1 | 2): Promise<VaultStore> {
  const server = await startVaultServer();
  server.addToken(TOKEN);
  const proxy = await startFaultProxy(server.address);
  const way = await openWay('vault.secretbridge.test', { port: portOf(proxy.address), secure: false });
  const mount = kvVersion === 2 ? 'secret' : 'kv1';
  return {
    server,
    proxy,
    mount,
    kvVersion,
    front: way.front,
    loseName: way.loseName,
    config: {
      name: 's',
      kind: 'vault',
      address: way.address,
      mount,
      kvVersion,
      tls: { caFile: way.caFile },
      auth: { method: 'token', token: { env: 'TOKEN' } },
      limits: LIMITS,
    },
    env: { TOKEN },
    deadline: untilHang(proxy),
    key: (name) => name,
    put: (key, text) => server.put(mount, key, text),
    heal() {
      way.heal();
      proxy.set(undefined);
      server.deny(undefined);
      server.addToken(TOKEN);
      server.mount(mount, kvVersion);
    },
    async [Symbol.asyncDispose]() {
      await way[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

export async function openAwsStore(): Promise<AwsStore> {
  const server = await startAwsServer();
  const proxy = await startFaultProxy(server.address);
  const way = await openWay('aws.secretbridge.test', { port: portOf(proxy.address), secure: false });
  return {
    server,
    proxy,
    front: way.front,
    loseName: way.loseName,
    config: {
      name: 's',
      kind: 'aws-secrets-manager',
      region: 'eu-west-1',
      endpoint: way.address,
      tls: { caFile: way.caFile },
      auth: { method: 'static', accessKeyId: { env: 'KEY_ID' }, secretAccessKey: { env: 'SECRET_KEY' } },
      limits: LIMITS,
    },
    env: { KEY_ID: server.root.accessKeyId, SECRET_KEY: server.root.secretAccessKey },
    deadline: untilHang(proxy),
    key: (name) => name,
    put(key, text) {
      const { store } = server;
      store.put(key, text);
      const secret = store.get(key);
      if (secret !== undefined) secret.deletedAt = undefined;
    },
    heal() {
      way.heal();
      proxy.set(undefined);
      server.fail(undefined);
      for (const name of ['gone', 'found/gone']) server.failKey(name, undefined);
    },
    async [Symbol.asyncDispose]() {
      await way[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

export async function openAzureStore(): Promise<AzureStore> {
  const authority = createAuthority();
  const server = await startAzureServer({ authority });
  const secret = 'cL13nt~of~the~matrix';
  server.login.applications.set(CLIENT, { secret });
  // A name in the domain of the service, as the vendor's client compares it with the resource of the challenge.
  const upstream = { port: portOf(server.address), secure: true };
  const way = await openWay('matrix.vault.azure.net', upstream, authority);
  server.nextLink = (link) => link.replace(server.address, way.address);
  return {
    server,
    front: way.front,
    loseName: way.loseName,
    config: {
      name: 's',
      kind: 'azure-key-vault',
      vaultUrl: way.address,
      tls: { caFile: way.caFile },
      auth: {
        method: 'clientSecret',
        tenantId: TENANT,
        clientId: CLIENT,
        clientSecret: { env: 'CLIENT_SECRET' },
      },
      limits: LIMITS,
    },
    env: { CLIENT_SECRET: secret, AZURE_AUTHORITY_HOST: server.authorityHost },
    deadline: untilHang(server),
    key: (name) => name.replaceAll('/', '-'),
    put: (key, text) => void server.secrets.put(key, text),
    heal() {
      way.heal();
      server.fail(undefined);
      server.deny(undefined);
      server.login.applications.set(CLIENT, { secret });
      for (const name of ['gone', 'found-gone'])
        if (server.secrets.getDeleted(name) !== undefined) server.secrets.purge(name);
    },
    async [Symbol.asyncDispose]() {
      await way[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

export { CLIENT };
