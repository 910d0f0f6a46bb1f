import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isFolder, makeFolder, namesIn } from '../../src/core/folders.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'folders-'));
});
afterAll(() => rm(root, { recursive: true }));

describe('makeFolder and namesIn', () => {
  it('creates missing parent folders that only their owner can access, even in concurrent calls', async () => {
    const path = join(root, 'a/b/c');
    await Promise.all([makeFolder(path), makeFolder(path), makeFolder(join(root, 'a/d/'))]);
    for (const name of ['a', 'a/b', 'a/b/c', 'a/d'])
      expect((await stat(join(root, name))).mode & 0o777, name).toBe(0o700);
    await makeFolder(path);
    expect([...(await namesIn(join(root, 'a')))].sort()).toEqual(['b', 'd']);
  });

  it('fails if a file has the name of the folder to create', async () => {
    const path = join(root, 'file');
    await writeFile(path, '');
    await expect(makeFolder(path)).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(makeFolder(join(path, 'below'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  it('returns no names for a missing folder', async () => {
    expect(await namesIn(join(root, 'nothing'))).toEqual([]);
    expect(await isFolder(join(root, 'nothing'))).toBe(false);
  });

  // On the file system /proc, Node's `recursive` option loops forever in a thread that cannot be stopped.
  it.runIf(process.platform === 'linux')(
    'fails immediately if the file system does not allow new folders',
    async () => {
      await expect(makeFolder('/proc/nothing/below')).rejects.toMatchObject({ code: 'ENOENT' });
    },
  );
});
