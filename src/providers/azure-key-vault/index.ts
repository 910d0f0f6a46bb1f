import { defineProvider } from '../provider.ts';
import { AzureConfig } from './config.ts';

export const azureKeyVault = defineProvider({
  kind: 'azure-key-vault',
  title: 'Azure Key Vault',
  Config: AzureConfig,
  // A list costs one request for 25 secrets. It holds no versions: see `versions.ts`.
  can: { tellVersions: true, findByTags: true },
  identity: ({ kind, vaultUrl }) => ({ kind, vaultUrl: new URL(vaultUrl).origin }),
  versionsPerPage: () => 25,
  // Names differ in more than their letters' case; events have them as they were first written.
  keyNames: (key) => [key.toLowerCase()],
  async create(config, deps) {
    const { openKeyVault } = await import('./open.ts');
    return openKeyVault(config, deps);
  },
});
