import type { Expectation, NameRules } from '../name-rules.ts';
import { defineProvider } from '../provider.ts';
import { AzureConfig } from './config.ts';

/**
 * In recordings, the real service denies a deleted secret at both of its addresses for up to 76 seconds. See
 * docs/explanation/what-is-absence.md.
 */
const DELETION_LAG_MS = 120_000;

export const azureKeyVault = defineProvider({
  kind: 'azure-key-vault',
  title: 'Azure Key Vault',
  Config: AzureConfig,
  names: azureNames,
  // One request lists 25 secrets. The list contains no versions, and `versions.ts` describes how it still shows
  // changes.
  can: { tellVersions: true, findByTags: true },
  deletionLagMs: DELETION_LAG_MS,
  identity: ({ kind, vaultUrl }) => ({ kind, vaultUrl: new URL(vaultUrl).origin }),
  versionsPerPage: () => 25,
  // Key Vault ignores the case of names. An event uses the case of the first write.
  keyNames: (key) => [key.toLowerCase()],
  async create(config, deps) {
    const { openKeyVault } = await import('./open.ts');
    return openKeyVault(config, deps);
  },
});

function azureNames(): NameRules {
  return {
    naming: { isFlat: true, unlisted: 'anyCase' },
    hasTags: true,
    hasObjects: true,
    key: checkName,
    version: (version) =>
      /^[0-9a-fA-F]{32}$/.test(version)
        ? undefined
        : { expected: 'an Azure Key Vault version: 32 hexadecimal digits' },
    search: (path) => (path === '' ? undefined : checkName(path)),
  };
}

/** https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#object-identifiers */
function checkName(name: string): Expectation | undefined {
  if (/^[0-9a-zA-Z-]{1,127}$/.test(name)) return undefined;
  const expected = 'an Azure Key Vault name: 1 to 127 of `0-9 a-z A-Z -`';
  const suggested = name.replace(/[/_. ]+/g, '-').replace(/^-+|-+$/g, '');
  return /^[0-9a-zA-Z-]{1,127}$/.test(suggested) ? { expected, suggested } : { expected };
}
