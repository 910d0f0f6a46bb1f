import { untilHang } from '../../conformance/provider-deps.ts';
import { type FaultProxy, startFaultProxy } from '../../fakes/fault-proxy.ts';
import { startVaultServer, type VaultServer } from '../../fakes/vault-server.ts';
import { VAULT_FAULTS } from '../../providers/vault/faults.ts';
import { canned, defineKind, type Fault } from '../failures.ts';
import { LIMITS, type NetworkStore, openRoute, portOf, WAY } from './route.ts';

const TOKEN = 'token-of-the-matrix';
const GONE = ['gone', 'found/gone'];

interface VaultStore extends NetworkStore {
  readonly server: VaultServer;
  readonly proxy: FaultProxy;
  readonly mount: string;
  readonly kvVersion: 1 | 2;
}

async function openVaultStore(kvVersion: 1 | 2): Promise<VaultStore> {
  const server = await startVaultServer();
  server.addToken(TOKEN);
  const proxy = await startFaultProxy(server.address);
  const route = await openRoute('vault.secretbridge.test', { port: portOf(proxy.address), secure: false });
  const mount = kvVersion === 2 ? 'secret' : 'kv1';
  return {
    server,
    proxy,
    mount,
    kvVersion,
    front: route.front,
    loseName: route.loseName,
    config: {
      name: 's',
      kind: 'vault',
      address: route.address,
      mount,
      kvVersion,
      tls: { caFile: route.caFile },
      auth: { method: 'token', token: { env: 'TOKEN' } },
      limits: LIMITS,
    },
    env: { TOKEN },
    deadline: untilHang(proxy),
    key: (name) => name,
    put: (key, text) => server.put(mount, key, text),
    heal() {
      route.heal();
      proxy.set(undefined);
      server.deny(undefined);
      server.addToken(TOKEN);
      server.mount(mount, kvVersion);
    },
    async [Symbol.asyncDispose]() {
      await route[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** With these faults the token itself stays valid: `lookup-self` succeeds, so only the key is denied. */
const OF_ONE_KEY = {
  ...VAULT_FAULTS,
  forbidden: 'ACCESS_DENIED',
  'forbidden, in HTML': 'ACCESS_DENIED',
} as const;

const forget = ({ server, mount }: VaultStore) => {
  for (const key of GONE) server.remove(mount, key, 'forget');
};

const vaultFaults: readonly Fault<VaultStore>[] = [
  ...canned(VAULT_FAULTS, 'store', ({ proxy }: VaultStore, fault) => proxy.set(fault)),
  ...canned(OF_ONE_KEY, 'key', ({ proxy }: VaultStore, fault) => proxy.set(fault, /gone/)),
  ...WAY,
  {
    failure: '401',
    title: 'a revoked token',
    scope: 'store',
    code: 'AUTH_FAILED',
    begin: ({ server }) => server.revokeAll(),
  },
  {
    failure: '403',
    title: 'a policy without permission',
    scope: 'key',
    code: 'ACCESS_DENIED',
    begin: ({ server }) => server.deny(/gone/),
  },
  {
    failure: 'wrong mount',
    title: 'a mount of the other version',
    scope: 'store',
    code: 'MOUNT_NOT_FOUND',
    begin: ({ server, mount, kvVersion }) => server.mount(mount, kvVersion === 2 ? 1 : 2),
  },
  { failure: 'absent', title: 'absent', scope: 'key', code: 'SOURCE_ABSENT', begin: forget },
  {
    failure: 'absence that cannot be confirmed',
    title: 'absent, without permission to check the mount',
    scope: 'key',
    code: 'ACCESS_DENIED',
    begin(store) {
      forget(store);
      store.server.deny(/^sys\/internal/);
    },
  },
  {
    failure: 'absence that cannot be confirmed',
    title: 'absent, while the mount cannot be checked',
    scope: 'key',
    code: 'STORE_UNAVAILABLE',
    begin(store) {
      forget(store);
      store.proxy.set('server error', /sys\/internal/);
    },
  },
];

const softDeletes: readonly Fault<VaultStore>[] = (['delete', 'destroy'] as const).map((how) => ({
  failure: 'deleted, recoverable',
  title: how === 'delete' ? 'a deleted version' : 'a destroyed version',
  scope: 'key',
  code: 'SOURCE_DELETED',
  begin({ server, mount }) {
    for (const key of GONE) server.remove(mount, key, how);
  },
}));

export const VAULT_2 = defineKind({
  title: 'vault, key/value version 2',
  faults: [...vaultFaults, ...softDeletes],
  never: { disabled: 'Vault cannot disable a secret' },
  open: () => openVaultStore(2),
});

export const VAULT_1 = defineKind({
  title: 'vault, key/value version 1',
  faults: vaultFaults,
  never: {
    disabled: 'Vault cannot disable a secret',
    'deleted, recoverable': 'version 1 keeps no deleted versions',
  },
  open: () => openVaultStore(1),
});
