import { checkPath, fingerprintOnly, isRoot, type NameRules } from '../name-rules.ts';

export function fileNames(): NameRules {
  return {
    naming: { unlisted: 'dotted' },
    hasTags: false,
    hasObjects: false,
    key: (key) => checkPath('a path relative to the folder', key),
    version: fingerprintOnly('files have no versions'),
    search: (path) => (isRoot(path) ? undefined : checkPath('a folder', path.replace(/\/$/, ''))),
  };
}
