import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isLeftOut, isPackageLeftOut } from '../../scripts/image/excluded.ts';
import { settle } from '../../scripts/image/files.ts';
import { billOfMaterials, runtimePackages } from '../../scripts/image/packages.ts';

const TIME = new Date('2026-01-01T00:00:00Z');

async function openFolder() {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-settle-'));
  const write = async (path: string, text: string) => {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), text);
  };
  return { folder, write, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

describe('settle', () => {
  it('sets the same modes and times on all files and folders', async () => {
    await using one = await openFolder();
    await using two = await openFolder();
    for (const { write } of [one, two]) {
      await write('app/bin/secretbridge.js', '#!');
      await write('app/dist/a.js', 'a');
    }
    await chmod(join(two.folder, 'app/dist/a.js'), 0o600);
    await utimes(join(two.folder, 'app/dist'), new Date(0), new Date(0));
    await symlink('/app/bin/secretbridge.js', join(one.folder, 'link'));
    await symlink('/app/bin/secretbridge.js', join(two.folder, 'link'));
    const sets = [await settle(one.folder, TIME), await settle(two.folder, TIME)];
    expect(sets[0]).toEqual(sets[1]);
    expect(sets[0]).toMatchObject({ files: 2, bytes: 3 });
    const modeOf = async (path: string) => (await stat(join(two.folder, path))).mode & 0o777;
    expect([
      await modeOf('app/bin/secretbridge.js'),
      await modeOf('app/dist/a.js'),
      await modeOf('app'),
    ]).toEqual([0o755, 0o644, 0o755]);
    expect((await stat(join(two.folder, 'app/dist'))).mtime).toEqual(TIME);
  });

  it('removes folders without files at any depth', async () => {
    await using one = await openFolder();
    await one.write('app/a.js', 'a');
    await mkdir(join(one.folder, 'app/types/deep/er'), { recursive: true });
    await settle(one.folder, TIME);
    expect(await readdir(one.folder, { recursive: true })).toEqual(['app', 'app/a.js']);
    expect((await stat(join(one.folder, 'app'))).mtime).toEqual(TIME);
  });

  it("changes the digest when a file's content or name changes", async () => {
    const digestOf = async (path: string, text: string) => {
      await using folder = await openFolder();
      await folder.write(path, text);
      return (await settle(folder.folder, TIME)).digest;
    };
    const digests = [
      await digestOf('app/a', 'x'),
      await digestOf('app/a', 'y'),
      await digestOf('app/b', 'x'),
    ];
    expect(new Set(digests).size).toBe(3);
  });
});

describe('runtimePackages', () => {
  const lock = (packages: object) => JSON.stringify({ packages: { '': {}, ...packages } });

  it('includes runtime dependencies, and optional dependencies that are installed', async () => {
    await using root = await openFolder();
    await root.write('node_modules/a/package.json', '{"name":"a","version":"1.0.0","license":"MIT"}');
    await root.write('node_modules/tool/package.json', '{"name":"tool","version":"1.0.0"}');
    await root.write(
      'package-lock.json',
      lock({
        'node_modules/tool': { version: '1.0.0', dev: true },
        'node_modules/other-platform': { version: '1.0.0', optional: true },
        'node_modules/a': { version: '1.0.0' },
      }),
    );
    expect(await runtimePackages(root.folder)).toEqual([
      { path: 'node_modules/a', name: 'a', version: '1.0.0', license: 'MIT' },
    ]);
  });

  it('rejects a missing package and a package of another version', async () => {
    await using root = await openFolder();
    await root.write('package-lock.json', lock({ 'node_modules/a': { version: '2.0.0' } }));
    await expect(runtimePackages(root.folder)).rejects.toThrow('node_modules/a is not installed');
    await root.write('node_modules/a/package.json', '{"name":"a","version":"1.0.0"}');
    await expect(runtimePackages(root.folder)).rejects.toThrow('node_modules/a is 1.0.0 and not 2.0.0');
  });
});

describe('the files that the image omits from packages', () => {
  it.each([
    'index.d.ts',
    'dist/index.js.map',
    'README.md',
    'test/a.js',
    'lib/__tests__/a.js',
    'dist/parser.test.js',
    'dist/log_test.js',
    'dist/browser/index.js',
    'dist-es/index.js',
    'prebuilds/linux-x64/bare-fs.bare',
    '.github/workflows/ci.yml',
  ])('omits %s from the image', (path) => expect(isLeftOut(path)).toBe(true));

  it.each([
    'package.json',
    'LICENSE',
    'LICENSE.md',
    'dist/NOTICE.md',
    'dist/index.js',
    'dist/commands/script.lua',
    'lib/platform/browser/index.js',
    'lib/latest.js',
    // The package lru-cache exports only a minified file.
    'dist/esm/node/index.min.js',
    'prebuilds/linux-x64/node.napi.node',
  ])('keeps %s in the image', (path) => expect(isLeftOut(path)).toBe(false));

  it('omits type packages from the image, even nested ones', () => {
    expect(isPackageLeftOut('node_modules/@types/node')).toBe(true);
    expect(isPackageLeftOut('node_modules/@kubernetes/client-node/node_modules/@types/node')).toBe(true);
    expect(isPackageLeftOut('node_modules/@azure/msal-node')).toBe(false);
    expect(isPackageLeftOut('node_modules/undici')).toBe(false);
  });
});

describe('billOfMaterials', () => {
  it('lists each package with its package URL and license', () => {
    const text = billOfMaterials('1.2.3', [
      { path: 'node_modules/@s/a', name: '@s/a', version: '1.0.0', license: 'MIT' },
      { path: 'node_modules/b', name: 'b', version: '2.0.0', license: '(MIT OR Apache-2.0)' },
      { path: 'node_modules/c', name: 'c', version: '3.0.0', license: undefined },
    ]);
    expect(JSON.parse(text)).toMatchObject({
      bomFormat: 'CycloneDX',
      metadata: { component: { name: 'secretbridge', version: '1.2.3' } },
      components: [
        { purl: 'pkg:npm/%40s/a@1.0.0', licenses: [{ license: { id: 'MIT' } }] },
        { purl: 'pkg:npm/b@2.0.0', licenses: [{ expression: '(MIT OR Apache-2.0)' }] },
        { purl: 'pkg:npm/c@3.0.0' },
      ],
    });
  });
});
