import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { configMapFiles } from '../../src/app/config-maps/folders.ts';
import { pathOf } from '../../src/config/files/config-maps.ts';
import { type ConfigFs, readSource, realFs } from '../../src/config/files/files.ts';
import { loadConfig } from '../../src/config/load.ts';
import { recordingFs } from '../../src/config/watch/file-snapshot.ts';
import { memoryFs, VALID } from './memory-fs.ts';

it('loading opens a limited number of files at the same time', async () => {
  const folder = '/home/ann/config';
  const mapping = (n: number) =>
    `apiVersion: secretbridge.dev/v1\nmappings: [{ name: m${n}, target: { namespace: a }, data: { K: { store: local, key: k } } }]\n`;
  const many = Array.from({ length: 1_000 }, (_, n) => [`${folder}/m${n}.yaml`, mapping(n)]);
  const files = memoryFs({ [`${folder}/head.yaml`]: VALID, ...Object.fromEntries(many) });
  let open = 0;
  let most = 0;
  const counting: ConfigFs = {
    ...files,
    async readFile(path) {
      open += 1;
      most = Math.max(most, open);
      await new Promise((resolve) => setImmediate(resolve));
      open -= 1;
      return files.readFile(path);
    },
  };
  const recording = recordingFs(counting);
  const loaded = await loadConfig({ paths: [folder], env: {}, cwd: '/home/ann', readFs: recording.fs });
  expect(loaded.kind).toBe('usable');
  expect(await recording.snapshot().isCurrent(counting)).toBe(true);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(64);
});

it('a load and a check of files free the contents, and the contents of ConfigMaps stay', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-freed-'));
  const path = join(folder, 'secretbridge.yaml');
  await writeFile(path, VALID);
  const read: Uint8Array[] = [];
  const files: ConfigFs = {
    ...realFs,
    async readFile(name) {
      const bytes = await realFs.readFile(name);
      read.push(bytes);
      return bytes;
    },
  };
  const content = '# a comment\n'.repeat(1_000);
  const shown = configMapFiles(files, {
    namespaces: () => ['shop'],
    folder: () => ({ error: undefined, contents: new Map([['app', content]]) }),
  });
  const recording = recordingFs(shown);
  const loaded = await loadConfig({ paths: [path], env: {}, cwd: folder, readFs: recording.fs });
  expect(loaded.kind).toBe('usable');
  expect(await recording.snapshot().isCurrent(shown)).toBe(true);
  expect(read.map(({ byteLength }) => byteLength)).toEqual([0, 0]);
  const absolute = pathOf({ selector: 'a=b', namespace: 'shop', name: 'app' });
  const source = { shown: 'configmap:shop/app', absolute };
  for (const _ of [1, 2]) expect(await readSource(source, shown)).toEqual({ kind: 'text', text: content });
  await rm(folder, { recursive: true });
});
