import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { defineKind, type Fault, type MatrixStore } from '../failures.ts';

const GONE = ['gone', 'found/gone'];

interface FilesStore extends MatrixStore {
  readonly folder: string;
  readonly path: string;
}

async function openFilesStore(): Promise<FilesStore> {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-matrix-'));
  const path = join(folder, 'store');
  await mkdir(path);
  return {
    folder,
    path,
    config: { name: 's', kind: 'files', path, limits: { requestsPerSecond: 10_000 } },
    env: {},
    key: (name) => name,
    async put(key, text) {
      await rm(join(path, key), { recursive: true, force: true });
      await mkdir(dirname(join(path, key)), { recursive: true });
      await writeFile(join(path, key), text);
    },
    async heal() {
      const aside = join(folder, 'aside');
      try {
        await rename(aside, aside); // Throws ENOENT if the file does not exist.
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
        throw error;
      }
      await rm(path, { recursive: true, force: true });
      await rename(aside, path);
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

const inPlace =
  (put: (path: string, store: FilesStore) => Promise<unknown>) =>
  async (store: FilesStore): Promise<void> => {
    for (const key of GONE) {
      await rm(join(store.path, key), { recursive: true });
      await put(join(store.path, key), store);
    }
  };

const filesFaults: readonly Fault<FilesStore>[] = [
  {
    failure: '503',
    title: 'a volume that is not mounted',
    scope: 'store',
    code: 'STORE_UNAVAILABLE',
    begin: ({ path, folder }) => rename(path, join(folder, 'aside')),
  },
  {
    failure: 'unexpected response',
    title: 'a file instead of the folder',
    scope: 'store',
    code: 'STORE_UNAVAILABLE',
    async begin({ path, folder }) {
      await rename(path, join(folder, 'aside'));
      await writeFile(path, '');
    },
  },
  {
    failure: '403',
    title: 'a link that leads out of the folder',
    scope: 'key',
    code: 'ACCESS_DENIED',
    begin: inPlace(async (path, { folder }) => {
      await writeFile(join(folder, 'outside'), 'x');
      await symlink(join(folder, 'outside'), path);
    }),
  },
  { failure: 'absent', title: 'absent', scope: 'key', code: 'SOURCE_ABSENT', begin: inPlace(async () => {}) },
  {
    failure: 'absence that cannot be confirmed',
    title: 'a dangling link',
    scope: 'key',
    code: 'STORE_UNAVAILABLE',
    begin: inPlace((path) => symlink('nothing', path)),
  },
  {
    failure: 'unexpected response',
    title: 'a folder instead of the file',
    scope: 'key',
    code: 'CONFIG_INVALID',
    begin: inPlace((path) => mkdir(path)),
  },
  {
    failure: 'unexpected response',
    title: 'links that form a loop',
    scope: 'key',
    code: 'CONFIG_INVALID',
    begin: inPlace((path) => symlink('gone', path)),
  },
  {
    failure: 'unexpected response',
    title: 'a file that is too large',
    scope: 'key',
    code: 'TOO_LARGE',
    begin: inPlace(async (path) => {
      await writeFile(path, '');
      await truncate(path, 17 * 1024 * 1024);
    }),
  },
];

const NO_SERVER = 'there is no server: a folder answers at once or never';

export const FILES = defineKind({
  title: 'files',
  faults: filesFaults,
  never: {
    '401': 'a folder has no login',
    'wrong mount': 'it has no mounts',
    disabled: 'a file cannot be disabled',
    'deleted, recoverable': 'a deleted file is gone',
    '429': NO_SERVER,
    '429 with Retry-After': NO_SERVER,
    '500': NO_SERVER,
    timeout: NO_SERVER,
    reset: NO_SERVER,
    'connection reset in the body': NO_SERVER,
    'truncated JSON': 'the value is the bytes of the file, and a change during the read is detected',
    'HTML or wrong content type': 'files have no content type',
    'certificate for another name': NO_SERVER,
    'expired certificate': NO_SERVER,
    DNS: NO_SERVER,
  },
  open: openFilesStore,
});
