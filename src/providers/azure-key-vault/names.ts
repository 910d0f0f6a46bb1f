import type { Expectation, NameRules } from '../name-rules.ts';

export function azureNames(): NameRules {
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
