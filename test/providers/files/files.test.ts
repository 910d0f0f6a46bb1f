import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { files } from '../../../src/providers/files/index.ts';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { testDeps } from '../../conformance/provider-deps.ts';

async function open(entries: Readonly<Record<string, string | Uint8Array>> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-files-'));
  const path = join(folder, 'store');
  await mkdir(path);
  await writeFile(join(folder, 'outside.txt'), 'outside');
  for (const [key, content] of Object.entries(entries)) {
    await mkdir(dirname(join(path, key)), { recursive: true });
    await writeFile(join(path, key), content);
  }
  const provider = await files.create({ kind: 'files', path }, testDeps());
  return {
    folder,
    path,
    read: async (key: string) => (await provider.read([{ key }]))[0],
    find: (prefix = '') => provider.find({ path: prefix, tags: {} }),
    provider,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

describe('a file', () => {
  it('keeps the bytes of a file, including binary data and newlines at the end', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    await using store = await open({ 'a.bin': bytes, 'a.txt': 'line\r\n', empty: '' });
    const results = await store.provider.read([{ key: 'a.bin' }, { key: 'a.txt' }, { key: 'empty' }]);
    const values = results.map((result) =>
      result.kind === 'found' ? Buffer.from(result.value.reveal()) : undefined,
    );
    expect(values).toEqual([bytes, Buffer.from('line\r\n'), Buffer.alloc(0)]);
  });

  it('returns the fingerprint of the bytes as version, and the modification time as creation time', async () => {
    await using store = await open({ 'a.txt': 'x' });
    await utimes(join(store.path, 'a.txt'), 1_000, 2_000);
    expect(await store.read('a.txt')).toMatchObject({
      kind: 'found',
      version: expect.stringMatching(/^[0-9a-f]{8}:[0-9a-f]{64}$/),
      createdAt: 2_000_000,
    });
  });

  it('rejects a file of more than 16 MiB without reading it', async () => {
    await using store = await open({ big: '' });
    await truncate(join(store.path, 'big'), 16 * 1024 * 1024 + 1);
    expect(codeOf(await store.read('big'))).toBe('TOO_LARGE');
  });

  it('reports a file as denied and not as absent if we are not allowed to read it', async (context) => {
    context.skip(process.getuid?.() === 0, 'root may read everything');
    await using store = await open({ 'a/b.txt': 'x', 'c.txt': 'x' });
    await chmod(join(store.path, 'c.txt'), 0);
    await chmod(join(store.path, 'a'), 0);
    expect(codeOf(await store.read('c.txt'))).toBe('ACCESS_DENIED');
    expect(codeOf(await store.read('a/b.txt'))).toBe('ACCESS_DENIED');
    await chmod(join(store.path, 'a'), 0o100); // In this folder, files can be opened by their name, but not listed.
    expect(codeOf(await store.read('a/none.txt'))).toBe('ACCESS_DENIED');
    await chmod(join(store.path, 'a'), 0o700);
  });

  it('rejects a key that is not a regular file, and neither blocks nor reports the key as absent', async () => {
    await using store = await open({ 'a/b.txt': 'x' });
    execFileSync('sh', ['-c', 'mkfifo "$0"', join(store.path, 'fifo')]);
    expect(codeOf(await store.read('fifo'))).toBe('CONFIG_INVALID');
    expect(codeOf(await store.read('a'))).toBe('CONFIG_INVALID');
    expect(codeOf(await store.read('a/b.txt/c'))).toBe('CONFIG_INVALID');
    expect(await store.find()).toEqual(['a/b.txt']);
  });

  it('rejects a key that is too long for a file system', async () => {
    await using store = await open();
    expect(codeOf(await store.read('x'.repeat(300)))).toBe('CONFIG_INVALID');
  });
});

describe('symbolic links', () => {
  it('follows links that stay inside the folder, because mounted volumes contain such links', async () => {
    await using store = await open({ '..2026_01/token.txt': 'one', '..2026_02/token.txt': 'two' });
    await symlink('..2026_01', join(store.path, '..data'));
    await symlink('..data/token.txt', join(store.path, 'token.txt'));
    expect(reveal(await store.read('token.txt'))).toBe('one');
    await symlink('..2026_02', join(store.path, '..data_tmp'));
    await rename(join(store.path, '..data_tmp'), join(store.path, '..data'));
    expect(reveal(await store.read('token.txt'))).toBe('two');
    expect(await store.find()).toEqual(['token.txt']);
  });

  it('rejects a link that leads out of the folder, at the end of a path and inside a path', async () => {
    await using store = await open();
    await symlink('../outside.txt', join(store.path, 'link.txt'));
    await symlink('..', join(store.path, 'up'));
    await symlink('/etc', join(store.path, 'etc'));
    for (const key of ['link.txt', 'up/outside.txt', 'etc/passwd', 'etc/none']) {
      expect(codeOf(await store.read(key))).toBe('ACCESS_DENIED');
    }
    await expect(store.find()).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    await expect(store.find('up')).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
  });

  it('rejects a link to a neighbor folder whose name starts like the name of the configured folder', async () => {
    await using store = await open();
    await mkdir(`${store.path}-other`);
    await writeFile(`${store.path}-other/a.txt`, 'outside');
    await symlink('../store-other/a.txt', join(store.path, 'a.txt'));
    expect(codeOf(await store.read('a.txt'))).toBe('ACCESS_DENIED');
  });

  it('does not report a key as absent if the target of its link is missing, because a volume update may be in progress', async () => {
    await using store = await open();
    await symlink('..data/token.txt', join(store.path, 'token.txt'));
    expect(codeOf(await store.read('token.txt'))).toBe('STORE_UNAVAILABLE');
    await expect(store.find()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('rejects links that form a loop, instead of following them forever', async () => {
    await using store = await open({ 'a/b.txt': 'x' });
    await symlink('../a', join(store.path, 'a/again'));
    await symlink('loop', join(store.path, 'loop'));
    expect(await store.find('a')).toEqual(['a/b.txt']);
    expect(codeOf(await store.read('loop'))).toBe('CONFIG_INVALID');
  });

  it('reads files if the configured folder is itself a link', async () => {
    await using store = await open({ 'a.txt': 'x' });
    await symlink('store', join(store.folder, 'link'));
    const provider = await files.create({ kind: 'files', path: join(store.folder, 'link') }, testDeps());
    expect(reveal((await provider.read([{ key: 'a.txt' }]))[0])).toBe('x');
  });
});

describe('the properties of a file', () => {
  const objectOf = async (name: string, content: string | Uint8Array) => {
    await using store = await open({ [name]: content });
    const result = await store.read(name);
    if (result?.kind !== 'found') throw new Error('not found');
    return result.object === undefined ? undefined : Buffer.from(result.object.reveal()).toString('utf8');
  };

  it('takes properties from the JSON form of a YAML file, and returns the raw text as the value', async () => {
    expect(await objectOf('a.yaml', 'b: 1.10\na: [x]\n')).toBe('{"b":1.10,"a":["x"]}');
    expect(await objectOf('a.YML', '\ufeffa: b')).toBe('{"a":"b"}');
    await using store = await open({ 'a.yaml': 'b: 1.10 # c\n' });
    expect(reveal(await store.read('a.yaml'))).toBe('b: 1.10 # c\n');
  });

  it('takes properties from the text of a JSON file itself', async () => {
    expect(await objectOf('a.json', '{"a":1}')).toBeUndefined();
    expect(await objectOf('a.json', '\ufeff{"a": 1.10}')).toBe('{"a": 1.10}');
  });

  it('returns no properties for a YAML file that has no JSON form', async () => {
    expect(await objectOf('a.yaml', 'a: &x 1\nb: *x\n')).toBeUndefined();
    expect(await objectOf('a.yaml', Uint8Array.of(0xff, 0xfe))).toBeUndefined();
  });
});

describe('find in a files store', () => {
  it('a search omits names that start with a dot', async () => {
    await using store = await open({ '.git/config': 'x', 'a/.hidden': 'x', 'a/b': 'x' });
    expect(await store.find()).toEqual(['a/b']);
  });

  it('rejects a search by tags, because files have no tags', async () => {
    await using store = await open();
    const search = store.provider.find({ path: '', tags: { live: 'true' } });
    await expect(search).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('finds nothing if the path of the search is a file', async () => {
    await using store = await open({ a: 'x' });
    expect(await store.find('a')).toEqual([]);
  });
});
