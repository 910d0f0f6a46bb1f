import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { files } from '../../../src/providers/files/index.ts';
import { describeProvider } from '../../conformance/provider.ts';
import { testDeps } from '../../conformance/provider-deps.ts';

describeProvider('files', {
  faults: { 'folder missing': 'STORE_UNAVAILABLE', 'folder replaced by a file': 'STORE_UNAVAILABLE' },
  async open() {
    const folder = await mkdtemp(join(tmpdir(), 'secretbridge-files-'));
    const path = join(folder, 'store');
    const aside = join(folder, 'aside');
    await mkdir(path);
    const provider = await files.create({ kind: 'files', path }, testDeps());
    return {
      provider,
      async put(key, fields) {
        await mkdir(dirname(join(path, key)), { recursive: true });
        await writeFile(join(path, key), JSON.stringify(fields));
      },
      remove: (key) => rm(join(path, key)),
      async fail(fault) {
        if (fault !== undefined) await rename(path, aside);
        if (fault === 'folder replaced by a file') await writeFile(path, '');
        if (fault === undefined) {
          await rm(path, { force: true });
          await rename(aside, path);
        }
      },
      async [Symbol.asyncDispose]() {
        await provider[Symbol.asyncDispose]();
        await rm(folder, { recursive: true });
      },
    };
  },
});
