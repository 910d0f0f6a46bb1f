import { defineProvider } from '../provider.ts';
import { FilesConfig } from './config.ts';
import { fileNames } from './names.ts';

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
