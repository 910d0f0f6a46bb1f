import { defineProvider } from '../provider.ts';
import { VaultConfig } from './config.ts';
import { vaultNames } from './names.ts';

export const vault = defineProvider({
  kind: 'vault',
  title: 'HashiCorp Vault and OpenBao (key/value, versions 1 and 2)',
  Config: VaultConfig,
  names: vaultNames,
  // The metadata of one key costs as much as the key, and no list contains versions.
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
