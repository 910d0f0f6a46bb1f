import { checkPath, fingerprintOnly, isRoot, type NameRules, type StoreFields } from '../name-rules.ts';

export function vaultNames({ kvVersion }: StoreFields): NameRules {
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
