import { untilHang } from '../../conformance/provider-deps.ts';
import { TENANT } from '../../fakes/azure-server/login.ts';
import { type AzureServer, startAzureServer } from '../../fakes/azure-server/server.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { AZURE_FAULTS } from '../../providers/azure-key-vault/faults.ts';
import { canned, defineKind, type Fault } from '../failures.ts';
import { LIMITS, type NetworkStore, openRoute, portOf, WAY } from './route.ts';

const CLIENT = '22222222-2222-4222-8222-222222222222';
const GONE = ['gone', 'found-gone'];

interface AzureStore extends NetworkStore {
  readonly server: AzureServer;
}

async function openAzureStore(): Promise<AzureStore> {
  const authority = createAuthority();
  const server = await startAzureServer({ authority });
  const secret = 'cL13nt~of~the~matrix';
  server.login.applications.set(CLIENT, { secret });
  // The name must be in the Key Vault domain, because the Azure client compares it with the resource in the challenge.
  const upstream = { port: portOf(server.address), secure: true };
  const route = await openRoute('matrix.vault.azure.net', upstream, authority);
  server.nextLink = (link) => link.replace(server.address, route.address);
  return {
    server,
    front: route.front,
    loseName: route.loseName,
    config: {
      name: 's',
      kind: 'azure-key-vault',
      vaultUrl: route.address,
      tls: { caFile: route.caFile },
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
      route.heal();
      server.fail(undefined);
      server.deny(undefined);
      server.login.applications.set(CLIENT, { secret });
      for (const name of GONE) if (server.secrets.getDeleted(name) !== undefined) server.secrets.purge(name);
    },
    async [Symbol.asyncDispose]() {
      await route[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const purge = ({ server }: AzureStore) => {
  for (const name of GONE) {
    server.secrets.remove(name);
    server.secrets.purge(name);
  }
};

const azureFaults: readonly Fault<AzureStore>[] = [
  ...canned(AZURE_FAULTS, 'store', ({ server }: AzureStore, fault) => server.fail(fault)),
  ...canned(AZURE_FAULTS, 'key', ({ server }: AzureStore, fault) =>
    server.fail(fault, /^vault GET \/secrets\/\S*gone/),
  ),
  ...WAY,
  {
    failure: '401',
    title: 'an expired client secret',
    scope: 'store',
    code: 'AUTH_FAILED',
    begin({ server }) {
      server.login.revokeAll();
      server.login.applications.delete(CLIENT);
    },
  },
  ...(
    [
      ['429', 'throttled', 'THROTTLED'],
      ['503', 'unavailable', 'STORE_UNAVAILABLE'],
      ['timeout', 'hang', 'TIMEOUT'],
    ] as const
  ).map(([failure, fault, code]) => ({
    failure,
    title: `the login authority: ${fault}`,
    scope: 'store' as const,
    code,
    begin({ server }: AzureStore) {
      server.login.revokeAll();
      server.fail(fault, /^authority /);
    },
  })),
  {
    failure: '403',
    title: 'a role without permission',
    scope: 'key',
    code: 'ACCESS_DENIED',
    begin: ({ server }) => server.deny(/^vault GET \/secrets\/\S*gone/),
  },
  { failure: 'absent', title: 'absent', scope: 'key', code: 'SOURCE_ABSENT', begin: purge },
  {
    failure: 'absence that cannot be confirmed',
    title: 'absent, without permission to read deleted secrets',
    scope: 'key',
    code: 'ACCESS_DENIED',
    begin(store) {
      purge(store);
      store.server.deny(/deletedsecrets/);
    },
  },
  {
    failure: 'absence that cannot be confirmed',
    title: 'absent, while deleted secrets cannot be read',
    scope: 'key',
    code: 'STORE_UNAVAILABLE',
    begin(store) {
      purge(store);
      store.server.fail('server error', /deletedsecrets/);
    },
  },
  {
    failure: 'disabled',
    title: 'disabled',
    scope: 'key',
    code: 'SOURCE_DISABLED',
    begin({ server }) {
      for (const name of GONE) server.secrets.update(name, { enabled: false });
    },
  },
  {
    failure: 'deleted, recoverable',
    title: 'deleted, recoverable',
    scope: 'key',
    code: 'SOURCE_DELETED',
    begin({ server }) {
      for (const name of GONE) server.secrets.remove(name);
    },
  },
];

export const AZURE = defineKind({
  title: 'azure-key-vault',
  faults: azureFaults,
  never: { 'wrong mount': 'it has no mounts, and another vault is another store' },
  open: openAzureStore,
});
