import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ReadResult } from '../../../src/core/read-result.ts';
import { files } from '../../../src/providers/files/index.ts';
import { codeOf, describeProvider, reveal } from '../../conformance/provider.ts';
import { testDeps } from '../../conformance/provider-deps.ts';
import { createVolume, type Volume } from './volume.ts';

const open = (path: string) => files.create({ kind: 'files', path }, testDeps());

// Skips a test for a key that no volume can have. Names that start with `..` are reserved for the volume itself.
describeProvider('files in a mounted volume', {
  faults: { 'folder missing': 'STORE_UNAVAILABLE', 'folder replaced by a file': 'STORE_UNAVAILABLE' },
  async open() {
    const volume = await createVolume();
    const { path, folder } = volume;
    const provider = await open(path);
    const content: Record<string, string> = {};
    await volume.update(content);
    return {
      provider,
      async put(key, fields) {
        content[key] = JSON.stringify(fields);
        await volume.update(content);
      },
      async remove(key) {
        delete content[key];
        await volume.update(content);
      },
      async fail(fault) {
        if (fault !== undefined) await rename(path, join(folder, 'aside'));
        if (fault === 'folder replaced by a file') await writeFile(path, '');
        if (fault === undefined) {
          await rm(path, { force: true });
          await rename(join(folder, 'aside'), path);
        }
      },
      async [Symbol.asyncDispose]() {
        await provider[Symbol.asyncDispose]();
        await volume[Symbol.asyncDispose]();
      },
    };
  },
});

const KEYS = ['tls.crt', 'tls.key', 'nested/a', 'nested/deep/b'];
const MANY = Array.from({ length: 30 }, (_, index) => `nested/${index}`).sort();
const generation = (text: string, keys = KEYS) => Object.fromEntries(keys.map((key) => [key, text]));

/** Updates the volume again and again until all reads are complete. */
async function whileUpdating(
  volume: Volume,
  keys: readonly string[],
  count: number,
  work: () => Promise<void>,
): Promise<void> {
  let done = false;
  const updating = (async () => {
    for (let round = 1; !done; round += 1) await volume.update(generation(String(round), [...keys]));
  })();
  try {
    for (let round = 0; round < count; round += 1) await work();
  } finally {
    done = true;
    await updating;
  }
}

describe('a mounted volume under constant updates', () => {
  it('never reports a file as absent during updates, and never returns files of two different updates together', async () => {
    await using volume = await createVolume();
    await volume.update(generation('0'));
    const provider = await open(volume.path);
    const counts = new Map<string, number>();
    const count = (name: string | undefined) => counts.set(`${name}`, (counts.get(`${name}`) ?? 0) + 1);
    const isWhole = (results: readonly ReadResult[]) => results.every(({ kind }) => kind === 'found');
    await whileUpdating(volume, KEYS, 300, async () => {
      const results = await provider.read(KEYS.map((key) => ({ key })));
      for (const result of results) count(codeOf(result));
      if (isWhole(results)) expect(new Set(results.map(reveal)).size).toBe(1);
    });
    expect([...counts.keys()].filter((code) => code !== 'found' && code !== 'STORE_UNAVAILABLE')).toEqual([]);
    expect(counts.get('found')).toBeGreaterThan(100);
    const after = await provider.read(KEYS.map((key) => ({ key })));
    expect(isWhole(after)).toBe(true);
  });

  it('returns all results of a search or reports an outage, but never a part of the results', async () => {
    await using volume = await createVolume();
    await volume.update(generation('0', MANY));
    const provider = await open(volume.path);
    let whole = 0;
    await whileUpdating(volume, MANY, 500, async () => {
      const found = await Promise.allSettled([provider.find({ path: '', tags: {} })]);
      for (const result of found) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'STORE_UNAVAILABLE' });
        else expect(result.value).toEqual(MANY);
        whole += result.status === 'fulfilled' ? 1 : 0;
      }
    });
    expect(whole).toBeGreaterThan(10);
  });

  it('reports a file as absent only if an update has removed this file', async () => {
    await using volume = await createVolume();
    await volume.update({ a: '1', b: '1', 'c/d': '1' });
    const provider = await open(volume.path);
    await volume.update({ b: '2' });
    const results = await provider.read(['a', 'b', 'c/d', 'c/none'].map((key) => ({ key })));
    expect(results.map(codeOf)).toEqual(['absent', 'found', 'absent', 'absent']);
  });
});

describe('a mounted volume', () => {
  it('reads a folder inside the volume, although each update replaces this folder', async () => {
    await using volume = await createVolume();
    await volume.update({ 'app/a': '1', 'app/b': '1' });
    const provider = await open(join(volume.path, 'app'));
    expect(codeOf((await provider.read([{ key: 'a' }]))[0])).toBe('found');
    await volume.update({ 'app/b': '2' });
    const results = await provider.read([{ key: 'a' }, { key: 'b' }]);
    expect(results.map(codeOf)).toEqual(['absent', 'found']);
    expect(await provider.find({ path: '', tags: {} })).toEqual(['b']);
  });

  it('never returns a file outside of the volume, whatever links the volume contains', async () => {
    await using volume = await createVolume();
    const outside = join(volume.folder, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'tls.key'), 'outside');
    await volume.update(generation('0'));
    const provider = await open(volume.path);
    const data = join(volume.path, '..data');
    let done = false;
    const turning = (async () => {
      for (let round = 0; !done; round += 1) {
        await rm(join(volume.path, 'tmp'), { force: true });
        await symlink(round % 2 === 0 ? outside : '..2026_01_02_03_04_05.1', join(volume.path, 'tmp'));
        await rename(join(volume.path, 'tmp'), data);
      }
    })();
    const seen = new Set<string | undefined>();
    for (let round = 0; round < 300; round += 1) {
      const [result] = await provider.read([{ key: 'tls.key' }]);
      seen.add(codeOf(result));
      if (result?.kind === 'found') expect(reveal(result)).toBe('0');
    }
    done = true;
    await turning;
    expect([...seen].filter((code) => code === 'absent')).toEqual([]);
  });
});
