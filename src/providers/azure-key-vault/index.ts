import { defineProvider } from '../provider.ts';
import { AzureConfig } from './config.ts';
import { azureNames } from './names.ts';

export const azureKeyVault = defineProvider({
  kind: 'azure-key-vault',
  title: 'Azure Key Vault',
  Config: AzureConfig,
  names: azureNames,
  // A list returns 25 secrets per request, and contains no versions (`versions.ts`).
  can: { tellVersions: true, findByTags: true },
  identity: ({ kind, vaultUrl }) => ({ kind, vaultUrl: new URL(vaultUrl).origin }),
  versionsPerPage: () => 25,
  // Names are case-insensitive. Events use the case of the first write.
  keyNames: (key) => [key.toLowerCase()],
  async create(config, deps) {
    const { openKeyVault } = await import('./open.ts');
    return openKeyVault(config, deps);
  },
});
