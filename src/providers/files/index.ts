import { checkPath, fingerprintOnly, isRoot, type NameRules } from '../name-rules.ts';
import { defineProvider } from '../provider.ts';
import { FilesConfig } from './config.ts';

export const files = defineProvider({
  kind: 'files',
  title: 'A folder of files',
  Config: FilesConfig,
  names: fileNames,
  can: { tellVersions: false, findByTags: false },
  identity: ({ kind, path }) => ({ kind, path }),
  async create(config, deps) {
    const { openFiles } = await import('./open.ts');
    return openFiles(config, deps);
  },
});

function fileNames(): NameRules {
  return {
    naming: { unlisted: 'dotted' },
    hasTags: false,
    hasObjects: false,
    key: (key) => checkPath('a path relative to the folder', key),
    version: fingerprintOnly('files have no versions'),
    search: (path) => (isRoot(path) ? undefined : checkPath('a folder', path.replace(/\/$/, ''))),
  };
}
