import { checkPath, fingerprintOnly, isRoot, type NameRules, type StoreFields } from '../name-rules.ts';
import { defineProvider } from '../provider.ts';
import { VaultConfig } from './config.ts';

export const vault = defineProvider({
  kind: 'vault',
  title: 'HashiCorp Vault and OpenBao (key/value, versions 1 and 2)',
  Config: VaultConfig,
  names: vaultNames,
  // Vault cannot report versions cheaply: the metadata of a key costs as much as the key, and a list contains no
  // versions.
  can: { tellVersions: false, findByTags: true },
  identity: ({ kind, address, namespace, mount, kvVersion }) => ({
    kind,
    address,
    namespace,
    mount,
    kvVersion,
  }),
  async create(config, deps) {
    const { openVault } = await import('./open.ts');
    return openVault(config, deps);
  },
});

function vaultNames({ kvVersion }: StoreFields): NameRules {
  return {
    naming: {},
    hasTags: kvVersion !== 1,
    hasObjects: false,
    key: (key) => checkPath('a path in the mount', key),
    version:
      kvVersion === 1
        ? fingerprintOnly('the key/value engine version 1 has no versions')
        : (version) =>
            /^[1-9]\d{0,14}$/.test(version)
              ? undefined
              : { expected: 'a Vault version: a whole number from 1' },
    search: (path) => (isRoot(path) ? undefined : checkPath('a path in the mount', path.replace(/\/$/, ''))),
  };
}
