import { mkdir, mkdtemp, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * A folder that behaves like a mounted Secret or ConfigMap in Kubernetes. Its content is in a folder whose name is a
 * timestamp. The link `..data` leads to this folder, and the visible files are links through `..data`. An update writes
 * a new folder and switches `..data`. Then it empties and removes the old folder.
 */
export interface Volume extends AsyncDisposable {
  /** The temporary folder that contains the volume. */
  readonly folder: string;
  readonly path: string;
  /** Replaces all files. A name may contain `/`, as in a projected volume. */
  update(files: Readonly<Record<string, string>>): Promise<void>;
}

export async function createVolume(): Promise<Volume> {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-volume-'));
  const path = join(folder, 'store');
  await mkdir(path);
  const data = join(path, '..data');
  let visible = new Set<string>();
  let generation = 0;
  return {
    folder,
    path,
    async update(files) {
      const before = generation === 0 ? undefined : await readlink(data);
      generation += 1;
      const name = `..2026_01_02_03_04_05.${generation}`;
      await mkdir(join(path, name));
      for (const [key, content] of Object.entries(files)) {
        await mkdir(dirname(join(path, name, key)), { recursive: true });
        await writeFile(join(path, name, key), content);
      }
      await symlink(name, join(path, '..data_tmp'));
      await rename(join(path, '..data_tmp'), data);
      const now = new Set(Object.keys(files).map((key) => key.split('/')[0] ?? ''));
      for (const entry of now) {
        if (!visible.has(entry)) await symlink(join('..data', entry), join(path, entry));
      }
      for (const entry of visible) if (!now.has(entry)) await rm(join(path, entry));
      visible = now;
      if (before !== undefined) await rm(join(path, before), { recursive: true });
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}
