import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { files } from '../../../src/providers/files/index.ts';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { testDeps } from '../../conformance/provider-deps.ts';

/**
 * Callbacks that run between two file system operations of the provider. Each runs once, before the first operation on
 * a path with the given end.
 */
const meanwhile = vi.hoisted(() => ({
  readdir: new Map<string, () => Promise<void>>(),
  realpath: new Map<string, () => Promise<string>>(),
}));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  function due<Event>(events: Map<string, Event>, path: string): Event | undefined {
    const end = [...events.keys()].find((each) => path.endsWith(each));
    const event = end === undefined ? undefined : events.get(end);
    if (end !== undefined) events.delete(end);
    return event;
  }
  return {
    ...real,
    async readdir(...args: Parameters<typeof real.readdir>) {
      await due(meanwhile.readdir, String(args[0]))?.();
      return real.readdir(...args);
    },
    async realpath(path: string) {
      return (await due(meanwhile.realpath, path)?.()) ?? real.realpath(path);
    },
  };
});

/**
 * Creates a volume with `nested/a` and `nested/b`. Its `update` switches to a new folder, and leaves half of the old
 * folder in place.
 */
async function open() {
  const path = await mkdtemp(join(tmpdir(), 'secretbridge-races-'));
  for (const generation of ['..1', '..2']) {
    await mkdir(join(path, generation, 'nested'), { recursive: true });
    for (const name of ['a', 'b']) await writeFile(join(path, generation, 'nested', name), generation);
  }
  await symlink('..1', join(path, '..data'));
  await symlink('..data/nested', join(path, 'nested'));
  const provider = await files.create({ kind: 'files', path }, testDeps());
  return {
    path,
    provider,
    async update() {
      await symlink('..2', join(path, '..data_tmp'));
      await rename(join(path, '..data_tmp'), join(path, '..data'));
      await rm(join(path, '..1/nested/a'));
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}

describe('a volume update', () => {
  it('reports no file as absent if a volume update empties the folder that the provider has opened', async () => {
    await using volume = await open();
    meanwhile.realpath.set('nested/a', async () => {
      await volume.update(); // The update comes after `..data` was resolved and before `a` was opened.
      throw Object.assign(new Error('gone'), { code: 'ENOENT' });
    });
    meanwhile.realpath.set('nested', async () => join(volume.path, '..1/nested'));
    const [result] = await volume.provider.read([{ key: 'nested/a' }]);
    expect(reveal(result)).toBe('..2');
  });

  it('finds all files if a volume update empties the old folder before the provider lists it', async () => {
    await using volume = await open();
    meanwhile.readdir.set('..1/nested', volume.update);
    expect(await volume.provider.find({ path: '', tags: {} })).toEqual(['nested/a', 'nested/b']);
    expect(meanwhile.readdir.size).toBe(0);
  });

  it('reads both files of a batch again if a volume update comes between the two reads', async () => {
    await using volume = await open();
    meanwhile.realpath.set('nested/b', async () => {
      await volume.update();
      return join(volume.path, '..2/nested/b');
    });
    const results = await volume.provider.read([{ key: 'nested/a' }, { key: 'nested/b' }]);
    expect(results.map(reveal)).toEqual(['..2', '..2']);
  });

  it('reports an outage if a volume update comes during every attempt', async () => {
    await using volume = await open();
    let turns = 0;
    const again = async () => {
      turns += 1;
      const generation = turns % 2 === 1 ? '..2' : '..1';
      await rm(join(volume.path, '..data'));
      await symlink(generation, join(volume.path, '..data'));
      meanwhile.realpath.set('nested/b', again);
      return join(volume.path, generation, 'nested/b');
    };
    meanwhile.realpath.set('nested/b', again);
    const results = await volume.provider.read([{ key: 'nested/a' }, { key: 'nested/b' }]);
    meanwhile.realpath.clear();
    expect(results.map(codeOf)).toContain('STORE_UNAVAILABLE');
    expect(turns).toBeGreaterThan(3);
  });
});
