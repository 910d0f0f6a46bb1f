import { expect, it } from 'vitest';
import type { ConfigFs } from '../../src/config/files/files.ts';
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
