import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { AwsError } from '../fakes/aws-server.ts';
import { AWS_FAULTS } from '../providers/aws-secrets-manager/faults.ts';
import { AZURE_FAULTS } from '../providers/azure-key-vault/faults.ts';
import { VAULT_FAULTS } from '../providers/vault/faults.ts';
import { canned, defineKind, type Fault, type MatrixKind, type MatrixStore, onTheWay } from './failures.ts';
import {
  type AwsStore,
  type AzureStore,
  CLIENT,
  type NetworkStore,
  openAwsStore,
  openAzureStore,
  openVaultStore,
  type VaultStore,
} from './network-stores.ts';

const GONE = ['gone', 'found/gone'];

const way = onTheWay<NetworkStore>(
  (store, face) => store.front.show(face),
  (store) => store.loseName(),
);

/** Only part of Vault answers so: its own `lookup-self` tells that the token is good. */
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
  ...way,
  {
    failure: '401',
    title: 'a token that was revoked',
    scope: 'store',
    code: 'AUTH_FAILED',
    begin: ({ server }) => server.revokeAll(),
  },
  {
    failure: '403',
    title: 'a policy that no longer allows it',
    scope: 'key',
    code: 'ACCESS_DENIED',
    begin: ({ server }) => server.deny(/gone/),
  },
  {
    failure: 'wrong mount',
    title: 'a mount of the other version in its place',
    scope: 'store',
    code: 'MOUNT_NOT_FOUND',
    begin: ({ server, mount, kvVersion }) => server.mount(mount, kvVersion === 2 ? 1 : 2),
  },
  { failure: 'absent', title: 'absent', scope: 'key', code: 'SOURCE_ABSENT', begin: forget },
  {
    failure: 'absence that cannot be confirmed',
    title: 'absent, and the mount may not be looked at',
    scope: 'key',
    code: 'ACCESS_DENIED',
    begin(store) {
      forget(store);
      store.server.deny(/^sys\/internal/);
    },
  },
  {
    failure: 'absence that cannot be confirmed',
    title: 'absent, and the mount cannot be looked at',
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
  title: how === 'delete' ? 'its version deleted' : 'its version destroyed',
  scope: 'key',
  code: 'SOURCE_DELETED',
  begin({ server, mount }) {
    for (const key of GONE) server.remove(mount, key, how);
  },
}));

const awsNamed = (
  title: string,
  type: string,
  code: Fault<AwsStore>['code'],
  more: Partial<Fault<AwsStore>>,
) => ({
  failure: 'another answer' as const,
  title,
  code,
  scope: 'store' as const,
  begin: ({ server }: AwsStore) =>
    server.fail(new AwsError(type, more.failure === '500' ? 500 : more.failure === '503' ? 503 : 400)),
  ...more,
});
const failGone =
  (type: string, operations?: RegExp) =>
  ({ server }: AwsStore) => {
    for (const key of GONE) server.failKey(key, new AwsError(type), operations);
  };
const forceAway = ({ server }: AwsStore) => {
  for (const key of GONE) server.store.remove(key, 'force');
};

const awsFaults: readonly Fault<AwsStore>[] = [
  ...canned(AWS_FAULTS, 'store', ({ proxy }: AwsStore, fault) => proxy.set(fault)),
  ...way,
  awsNamed('a session that has ended', 'ExpiredTokenException', 'AUTH_FAILED', { failure: '401' }),
  awsNamed('an access key that was deleted', 'UnrecognizedClientException', 'AUTH_FAILED', {
    failure: '401',
  }),
  awsNamed('a policy that no longer allows anything', 'AccessDeniedException', 'ACCESS_DENIED', {
    failure: '403',
  }),
  awsNamed('throttling by name', 'ThrottlingException', 'THROTTLED', { failure: '429' }),
  awsNamed('an internal error by name', 'InternalServiceError', 'STORE_UNAVAILABLE', { failure: '500' }),
  awsNamed('out of service by name', 'ServiceUnavailable', 'STORE_UNAVAILABLE', { failure: '503' }),
  awsNamed('an error of a name that nobody knows', 'SomethingNewException', 'BAD_ANSWER', {}),
  {
    failure: 'cut JSON',
    title: 'an answer cut, with nothing to tell it',
    scope: 'store',
    code: 'BAD_ANSWER',
    begin: ({ server }) => server.fail('cut'),
  },
  awsNamed('one key that may no longer be read', '', 'ACCESS_DENIED', {
    failure: '403',
    scope: 'key',
    begin: failGone('AccessDeniedException'),
  }),
  awsNamed('one key that cannot be decrypted', '', 'ACCESS_DENIED', {
    failure: '403',
    scope: 'key',
    begin: failGone('DecryptionFailure'),
  }),
  awsNamed('one key with an internal error', '', 'STORE_UNAVAILABLE', {
    failure: '500',
    scope: 'key',
    begin: failGone('InternalServiceError'),
  }),
  awsNamed('one key that is throttled', '', 'THROTTLED', {
    failure: '429',
    scope: 'key',
    begin: failGone('ThrottlingException'),
  }),
  awsNamed('one key not found, though it is described', '', 'BAD_ANSWER', {
    failure: 'absence that cannot be confirmed',
    scope: 'key',
    begin: failGone('ResourceNotFoundException', /GetSecretValue/),
  }),
  awsNamed('one key without a current version', '', 'VERSION_GONE', {
    scope: 'key',
    begin({ server }) {
      for (const key of GONE) {
        server.store.remove(key, 'force');
        server.store.put(key, undefined);
      }
    },
  }),
  { failure: 'absent', title: 'absent', scope: 'key', code: 'SOURCE_ABSENT', begin: forceAway },
  {
    failure: 'absence that cannot be confirmed',
    title: 'absent, and it may not be described',
    scope: 'key',
    code: 'ACCESS_DENIED',
    begin(store) {
      forceAway(store);
      store.server.fail(new AwsError('AccessDeniedException'), /^DescribeSecret$/);
    },
  },
  {
    failure: 'deleted, recoverable',
    title: 'scheduled for deletion',
    scope: 'key',
    code: 'SOURCE_DELETED',
    begin({ server }) {
      for (const key of GONE) server.store.remove(key, 'schedule');
    },
  },
];

const AZURE_GONE = ['gone', 'found-gone'];
const purge = ({ server }: AzureStore) => {
  for (const name of AZURE_GONE) {
    server.secrets.remove(name);
    server.secrets.purge(name);
  }
};

const azureFaults: readonly Fault<AzureStore>[] = [
  ...canned(AZURE_FAULTS, 'store', ({ server }: AzureStore, fault) => server.fail(fault)),
  ...canned(AZURE_FAULTS, 'key', ({ server }: AzureStore, fault) =>
    server.fail(fault, /^vault GET \/secrets\/\S*gone/),
  ),
  ...way,
  {
    failure: '401',
    title: 'a client secret that has ended',
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
    title: `the authority that it logs in to: ${fault}`,
    scope: 'store' as const,
    code,
    begin({ server }: AzureStore) {
      server.login.revokeAll();
      server.fail(fault, /^authority /);
    },
  })),
  {
    failure: '403',
    title: 'a role that no longer allows it',
    scope: 'key',
    code: 'ACCESS_DENIED',
    begin: ({ server }) => server.deny(/^vault GET \/secrets\/\S*gone/),
  },
  { failure: 'absent', title: 'absent', scope: 'key', code: 'SOURCE_ABSENT', begin: purge },
  {
    failure: 'absence that cannot be confirmed',
    title: 'absent, and the deleted ones may not be looked at',
    scope: 'key',
    code: 'ACCESS_DENIED',
    begin(store) {
      purge(store);
      store.server.deny(/deletedsecrets/);
    },
  },
  {
    failure: 'absence that cannot be confirmed',
    title: 'absent, and the deleted ones cannot be looked at',
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
      for (const name of AZURE_GONE) server.secrets.update(name, { enabled: false });
    },
  },
  {
    failure: 'deleted, recoverable',
    title: 'deleted, recoverable',
    scope: 'key',
    code: 'SOURCE_DELETED',
    begin({ server }) {
      for (const name of AZURE_GONE) server.secrets.remove(name);
    },
  },
];

interface FilesStore extends MatrixStore {
  readonly folder: string;
  readonly path: string;
}

async function openFilesStore(): Promise<FilesStore> {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-matrix-'));
  const path = join(folder, 'store');
  await mkdir(path);
  return {
    folder,
    path,
    config: { name: 's', kind: 'files', path, limits: { requestsPerSecond: 10_000 } },
    env: {},
    key: (name) => name,
    async put(key, text) {
      await rm(join(path, key), { recursive: true, force: true });
      await mkdir(dirname(join(path, key)), { recursive: true });
      await writeFile(join(path, key), text);
    },
    async heal() {
      const aside = join(folder, 'aside');
      try {
        await rename(aside, aside); // whether it is there
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
        throw error;
      }
      await rm(path, { recursive: true, force: true });
      await rename(aside, path);
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

const inPlace =
  (put: (path: string, store: FilesStore) => Promise<unknown>) =>
  async (store: FilesStore): Promise<void> => {
    for (const key of GONE) {
      await rm(join(store.path, key), { recursive: true });
      await put(join(store.path, key), store);
    }
  };

const filesFaults: readonly Fault<FilesStore>[] = [
  {
    failure: '503',
    title: 'a volume that is not mounted',
    scope: 'store',
    code: 'STORE_UNAVAILABLE',
    begin: ({ path, folder }) => rename(path, join(folder, 'aside')),
  },
  {
    failure: 'another answer',
    title: 'a file in the place of the folder',
    scope: 'store',
    code: 'STORE_UNAVAILABLE',
    async begin({ path, folder }) {
      await rename(path, join(folder, 'aside'));
      await writeFile(path, '');
    },
  },
  {
    failure: '403',
    title: 'a link that leads out of the folder',
    scope: 'key',
    code: 'ACCESS_DENIED',
    begin: inPlace(async (path, { folder }) => {
      await writeFile(join(folder, 'outside'), 'x');
      await symlink(join(folder, 'outside'), path);
    }),
  },
  { failure: 'absent', title: 'absent', scope: 'key', code: 'SOURCE_ABSENT', begin: inPlace(async () => {}) },
  {
    failure: 'absence that cannot be confirmed',
    title: 'a link that leads nowhere',
    scope: 'key',
    code: 'STORE_UNAVAILABLE',
    begin: inPlace((path) => symlink('nothing', path)),
  },
  {
    failure: 'another answer',
    title: 'a folder in its place',
    scope: 'key',
    code: 'CONFIG_INVALID',
    begin: inPlace((path) => mkdir(path)),
  },
  {
    failure: 'another answer',
    title: 'links in a circle',
    scope: 'key',
    code: 'CONFIG_INVALID',
    begin: inPlace((path) => symlink('gone', path)),
  },
  {
    failure: 'another answer',
    title: 'a file that is far too large',
    scope: 'key',
    code: 'TOO_LARGE',
    begin: inPlace(async (path) => {
      await writeFile(path, '');
      await truncate(path, 17 * 1024 * 1024);
    }),
  },
];

const NO_MOUNTS = 'it has no mounts; another region, account or vault is another definition of the store';
const NO_SERVER = 'there is no server: a folder answers at once or not at all';

/** Every kind of store, with all that can go wrong with it. */
export const KINDS: readonly MatrixKind[] = [
  defineKind({
    title: 'vault, key/value version 2',
    faults: [...vaultFaults, ...softDeletes],
    never: { disabled: 'Vault cannot disable a secret' },
    open: () => openVaultStore(2),
  }),
  defineKind({
    title: 'vault, key/value version 1',
    faults: vaultFaults,
    never: {
      disabled: 'Vault cannot disable a secret',
      'deleted, recoverable': 'version 1 forgets what is deleted',
    },
    open: () => openVaultStore(1),
  }),
  defineKind({
    title: 'aws-secrets-manager',
    faults: awsFaults,
    never: { disabled: 'AWS cannot disable a secret' },
    open: openAwsStore,
  }),
  defineKind({
    title: 'azure-key-vault',
    faults: azureFaults,
    never: { 'wrong mount': NO_MOUNTS },
    open: openAzureStore,
  }),
  defineKind({
    title: 'files',
    faults: filesFaults,
    never: {
      '401': 'nobody logs in to a folder',
      'wrong mount': 'it has no mounts',
      disabled: 'a file cannot be disabled',
      'deleted, recoverable': 'a file that is deleted is gone',
      '429': NO_SERVER,
      '429 with Retry-After': NO_SERVER,
      '500': NO_SERVER,
      timeout: NO_SERVER,
      reset: NO_SERVER,
      'reset in the body': NO_SERVER,
      'cut JSON': 'the bytes of a file are the value, whatever they are; a change while it is read is seen',
      'HTML or wrong content type': 'files have no content type',
      'TLS of another name': NO_SERVER,
      'expired certificate': NO_SERVER,
      DNS: NO_SERVER,
    },
    open: openFilesStore,
  }),
];
