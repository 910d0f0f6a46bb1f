import { chmod, mkdir, mkdtemp, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LoadResult } from '../../src/config/check-documents.ts';
import { createParsedFiles } from '../../src/config/files/parsing.ts';
import { loadConfig } from '../../src/config/load.ts';
import {
  type ConfigWatch,
  type WatchFolder,
  type WatchOptions,
  watchConfig,
} from '../../src/config/watch/watch.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { HEAD, memoryFs } from './memory-fs.ts';

const withInstance = (name: string) => `apiVersion: secretbridge.dev/v1\ninstance: ${name}\n`;
const stateOf = (loaded: LoadResult) => (loaded.kind === 'usable' ? loaded.config.instance : 'invalid');

/** A watch on in-memory files, with a clock that the test controls. */
async function overMemory(files: Record<string, string>, options: Partial<WatchOptions> = {}) {
  const time = createManualTime();
  const changes: string[] = [];
  const progress: unknown[] = [];
  const listeners = new Map<string, Parameters<WatchFolder>[1]>();
  const watchFolder: WatchFolder = (path, onEvent) => {
    listeners.set(path, onEvent);
    return { [Symbol.dispose]: () => undefined };
  };
  let understandMs = 0;
  const watch = await watchConfig({
    load: async (readFs) => {
      const loaded = await loadConfig({ paths: [], env: {}, cwd: '/home/ann', readFs });
      if (understandMs > 0) await time.sleep(understandMs, undefined);
      return loaded;
    },
    onChange: (loaded) => void changes.push(stateOf(loaded)),
    onProgress: (error) => void progress.push(error),
    readFs: memoryFs(files),
    watchFolder,
    wake: time.wake,
    now: time.now,
    ...options,
  });
  return {
    watch,
    time,
    changes,
    progress,
    listeners,
    /** Sets the duration of all later loads. */
    understandIn: (ms: number) => {
      understandMs = ms;
    },
    tell: (path: string, name: string | undefined, kind: 'rename' | 'change' = 'change') =>
      listeners.get(path)?.(name, kind),
    [Symbol.asyncDispose]: () => watch[Symbol.asyncDispose](),
  };
}

const MAIN = '/home/ann/secretbridge.yaml';

describe('a watched configuration', () => {
  it('the configuration watch reports a changed configuration once, after its content has stopped changing', async () => {
    const files = { [MAIN]: withInstance('one') };
    await using watched = await overMemory(files);
    expect(stateOf(watched.watch.initial)).toBe('one');
    files[MAIN] = withInstance('two');
    await watched.time.advance(5_000);
    expect(watched.changes).toEqual([]);
    await watched.time.advance(600);
    await watched.time.advance(60_000);
    expect(watched.changes).toEqual(['two']);
  });

  it('the configuration watch reports a change within half a second if file system events arrive', async () => {
    const files = { [MAIN]: withInstance('one') };
    await using watched = await overMemory(files);
    await watched.time.advance(1);
    files[MAIN] = withInstance('two');
    watched.tell('/home/ann', 'secretbridge.yaml');
    watched.tell('/home/ann', 'secretbridge.yaml');
    await watched.time.advance(340);
    expect(watched.changes).toEqual([]);
    await watched.time.advance(20);
    expect(watched.changes).toEqual(['two']);
  });

  describe('if a file is replaced as a whole', () => {
    const store = (name: string) => `stores: [ { name: ${name}, kind: files, path: x } ]\n`;
    const replaced = async (before: string, after: string) => {
      const files: Record<string, string> = { [MAIN]: before };
      const watched = await overMemory(files);
      await watched.time.advance(1);
      files[MAIN] = after;
      watched.tell('/home/ann', 'secretbridge.yaml', 'rename');
      return watched;
    };

    it('reports the change at once', async () => {
      await using watched = await replaced(withInstance('one'), withInstance('two') + store('s'));
      await watched.time.advance(25);
      expect(watched.changes).toEqual(['two']);
    });

    it('waits if something is missing, because other files may follow', async () => {
      await using watched = await replaced(withInstance('one') + store('s'), withInstance('two'));
      await watched.time.advance(300);
      expect(watched.changes).toEqual([]);
      await watched.time.advance(100);
      expect(watched.changes).toEqual(['two']);
    });

    it('waits if the new configuration is invalid', async () => {
      await using watched = await replaced(withInstance('one'), 'instance: [');
      await watched.time.advance(300);
      expect(watched.changes).toEqual([]);
    });

    it('waits if the file is written in place afterwards', async () => {
      await using watched = await replaced(withInstance('one'), withInstance('two'));
      await watched.time.advance(15);
      watched.tell('/home/ann', 'secretbridge.yaml');
      await watched.time.advance(200);
      expect(watched.changes).toEqual([]);
    });

    it('reads only this file again', async () => {
      const files: Record<string, string> = { [MAIN]: withInstance('one') };
      for (const name of ['a', 'b']) files[`/home/ann/conf/${name}.yaml`] = store(name);
      files['/home/ann/conf/c.yaml'] = withInstance('one');
      const read: string[] = [];
      const parsed = createParsedFiles();
      const { readFile, ...others } = memoryFs(files);
      await using watched = await overMemory(files, {
        load: (readFs) => loadConfig({ paths: ['conf'], env: {}, cwd: '/home/ann', readFs, parsed }),
        readFs: { ...others, readFile: (path) => readFile(path).finally(() => read.push(path)) },
      });
      await watched.time.advance(1);
      read.length = 0;
      files['/home/ann/conf/b.yaml'] = store('b').replace('path: x', 'path: y');
      watched.tell('/home/ann/conf', 'b.yaml', 'rename');
      await watched.time.advance(25);
      expect(watched.changes).toEqual(['one']);
      expect(read).toEqual(['/home/ann/conf/b.yaml']);
      // The next periodic check compares all files.
      await watched.time.advance(60_000);
      expect(watched.changes).toEqual(['one']);
    });
  });

  it('the configuration watch includes the duration of a load in the settling time', async () => {
    const files = { [MAIN]: withInstance('one') };
    await using watched = await overMemory(files);
    await watched.time.advance(1);
    watched.understandIn(290);
    files[MAIN] = withInstance('two');
    watched.tell('/home/ann', 'secretbridge.yaml');
    await watched.time.advance(360);
    expect(watched.changes).toEqual(['two']);
  });

  it('the configuration watch loads the configuration again if it changes during a load', async () => {
    const files = { [MAIN]: withInstance('one') };
    await using watched = await overMemory(files);
    await watched.time.advance(1);
    watched.understandIn(2_000);
    files[MAIN] = withInstance('two');
    watched.tell('/home/ann', 'secretbridge.yaml');
    await watched.time.advance(1_000);
    files[MAIN] = withInstance('three');
    await watched.time.advance(5_000);
    expect(watched.changes).toEqual(['three']);
  });

  it('does not load the configuration again if only other files in its folder change', async () => {
    const files = { [MAIN]: withInstance('one') };
    await using watched = await overMemory(files);
    await watched.time.advance(1);
    const before = watched.progress.length;
    watched.tell('/home/ann', 'notes.yaml');
    await watched.time.advance(900);
    expect(watched.progress.length).toBe(before);
  });

  it('does not report a configuration that changes back before it settles', async () => {
    const files = { [MAIN]: withInstance('one') };
    await using watched = await overMemory(files);
    files[MAIN] = withInstance('two');
    await watched.time.advance(5_100);
    files[MAIN] = withInstance('one');
    await watched.time.advance(30_000);
    expect(watched.changes).toEqual([]);
  });

  it('the configuration watch reports a configuration only after its write is complete, even if a part of the new content would be valid', async () => {
    const files = { [MAIN]: withInstance('one') };
    await using watched = await overMemory(files);
    await watched.time.advance(1);
    // The steps of the write: twice an invalid file, then a valid file with fewer entries.
    const whole = `${withInstance('two')}stores: [ { name: local, kind: files, path: x } ]\n`;
    for (const length of [20, 40, 52]) {
      files[MAIN] = whole.slice(0, length);
      watched.tell('/home/ann', 'secretbridge.yaml');
      await watched.time.advance(250);
    }
    files[MAIN] = whole;
    watched.tell('/home/ann', 'secretbridge.yaml');
    await watched.time.advance(10_000);
    expect(watched.changes).toEqual(['two']);
  });

  it('accepts a configuration after some checks even if it never stops changing, and reports progress until then', async () => {
    const files = { [MAIN]: withInstance('one') };
    await using watched = await overMemory(files);
    for (let turn = 0; turn < 400 && watched.changes.length === 0; turn++) {
      files[MAIN] = withInstance(`n${turn}`);
      await watched.time.advance(100);
    }
    expect(watched.changes).toHaveLength(1);
    expect(watched.progress.length).toBeGreaterThan(30);
  });

  it('the configuration watch reports a configuration when it becomes invalid, and again when it becomes valid', async () => {
    const files: Record<string, string> = { [MAIN]: withInstance('one') };
    await using watched = await overMemory(files);
    files[MAIN] = 'instance: [';
    await watched.time.advance(6_000);
    delete files[MAIN];
    await watched.time.advance(6_000);
    files[MAIN] = withInstance('two');
    await watched.time.advance(6_000);
    expect(watched.changes).toEqual(['invalid', 'invalid', 'two']);
  });

  it('the configuration watch loads a configuration that was missing at the start as soon as the configuration appears', async () => {
    const files: Record<string, string> = {};
    await using watched = await overMemory(files);
    expect(watched.watch.initial.kind).toBe('invalid');
    expect(watched.listeners.has('/home/ann')).toBe(true);
    files[MAIN] = withInstance('late');
    watched.tell('/home/ann', 'secretbridge.yaml');
    await watched.time.advance(900);
    expect(watched.changes).toEqual(['late']);
  });

  it('the configuration watch includes new files, and files that did not exist at the start', async () => {
    const include = `stores: [ { name: s, kind: files, path: x } ]
include: [ { path: teams, namespaces: [a], stores: [s], keys: [k] } ]\n`;
    const files: Record<string, string> = { [MAIN]: `${HEAD}${include}` };
    await using watched = await overMemory(files);
    expect(watched.watch.initial.problems).toHaveLength(1);
    files['/home/ann/teams/a.yaml'] = 'mappings: []\n';
    await watched.time.advance(6_000);
    files['/home/ann/teams/b.yaml'] = 'instance: stolen\n';
    await watched.time.advance(6_000);
    delete files['/home/ann/teams/b.yaml'];
    await watched.time.advance(6_000);
    expect(watched.changes).toEqual(['prod', 'prod', 'prod']);
  });

  it('the configuration watch reports an unreadable configuration as invalid', async () => {
    const files: Record<string, string | { fails: string }> = { [MAIN]: withInstance('one') };
    await using watched = await overMemory(files as Record<string, string>);
    for (const fails of ['EACCES', 'EIO', 'ESTALE']) {
      files[MAIN] = { fails };
      await watched.time.advance(6_000);
    }
    expect(watched.changes).toEqual(['invalid', 'invalid', 'invalid']);
    expect(watched.progress.filter((error) => error !== undefined)).toEqual([]);
  });

  it('the configuration watch loads the configuration again on request', async () => {
    const files = { [MAIN]: withInstance('one') };
    await using watched = await overMemory(files);
    expect(stateOf(await watched.watch.reload())).toBe('one');
    files[MAIN] = withInstance('two');
    expect(stateOf(await watched.watch.reload())).toBe('two');
    await watched.time.advance(30_000);
    expect(watched.changes).toEqual(['two']);
  });

  it('still watches the configuration if a change could not be applied', async () => {
    const files = { [MAIN]: withInstance('one') };
    const changes: string[] = [];
    await using watched = await overMemory(files, {
      onChange: (loaded) => {
        changes.push(stateOf(loaded));
        if (stateOf(loaded) === 'two') throw new Error('cannot');
      },
    });
    files[MAIN] = withInstance('two');
    await watched.time.advance(20_000);
    files[MAIN] = withInstance('three');
    await watched.time.advance(20_000);
    files[MAIN] = withInstance('two');
    expect(stateOf(await watched.watch.reload())).toBe('two');
    expect(changes).toEqual(['two', 'three', 'two']);
    expect(watched.progress.filter((error) => error !== undefined)).toHaveLength(2);
  });

  it('the configuration watch reports progress at every check, with or without changes', async () => {
    await using watched = await overMemory({ [MAIN]: withInstance('one') });
    await watched.time.advance(60_000);
    expect(watched.progress).toHaveLength(12);
  });

  it('leaves no timer behind if the watch is closed, even during a change', async () => {
    const files = { [MAIN]: withInstance('one') };
    const watched = await overMemory(files);
    files[MAIN] = withInstance('two');
    await watched.time.advance(5_100);
    await watched.watch[Symbol.asyncDispose]();
    expect(watched.time.waiting).toEqual([]);
    expect(watched.changes).toEqual([]);
  });
});

/** A watch on real files and events, with a short check interval to keep the tests fast. */
async function overDisk(path: string, everyMs: number) {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-watch-'));
  const seen: string[] = [];
  let nextChange = Promise.withResolvers<void>();
  let nextCheck = Promise.withResolvers<void>();
  let watch: ConfigWatch | undefined;
  return {
    folder,
    seen,
    at: (name: string) => join(folder, name),
    async start() {
      watch = await watchConfig({
        load: (readFs) => loadConfig({ paths: [path], env: {}, cwd: folder, readFs }),
        onChange(loaded) {
          seen.push(stateOf(loaded));
          nextChange.resolve();
          nextChange = Promise.withResolvers();
        },
        onProgress() {
          nextCheck.resolve();
          nextCheck = Promise.withResolvers();
        },
        everyMs,
        settleMs: 10,
      });
      return watch;
    },
    /** Resolves at the next reported change. */
    next: () => nextChange.promise,
    /** Resolves at the end of the next check. */
    look: () => nextCheck.promise,
    async [Symbol.asyncDispose]() {
      await watch?.[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

describe.each([
  ['with events alone', 3_600_000],
  ['with checks alone', 20],
])('a watched configuration on disk, %s', (_, everyMs) => {
  it('the configuration watch reports an edit in place, but does not report a new modification time without an edit', async () => {
    await using disk = await overDisk('c.yaml', everyMs);
    await writeFile(disk.at('c.yaml'), withInstance('one'));
    const watch = await disk.start();
    await utimes(disk.at('c.yaml'), 1, 1);
    const changed = disk.next();
    await writeFile(disk.at('c.yaml'), withInstance('two'));
    await changed;
    await watch.reload();
    expect(disk.seen).toEqual(['two']);
  });

  it('the configuration watch reports a change each time a new file replaces the configuration file', async () => {
    await using disk = await overDisk('c.yaml', everyMs);
    await writeFile(disk.at('c.yaml'), withInstance('one'));
    await disk.start();
    for (const name of ['two', 'three']) {
      const changed = disk.next();
      await writeFile(disk.at('.c.yaml.swp'), withInstance(name));
      await rename(disk.at('.c.yaml.swp'), disk.at('c.yaml'));
      await changed;
    }
    expect(disk.seen).toEqual(['two', 'three']);
  });

  it('the configuration watch reports each ConfigMap update, which replaces a symbolic link', async () => {
    await using disk = await overDisk('conf', everyMs);
    const swap = async (name: string) => {
      await mkdir(disk.at(`conf/..${name}`), { recursive: true });
      await writeFile(disk.at(`conf/..${name}/c.yaml`), withInstance(name));
      await symlink(`..${name}`, disk.at('conf/..data_tmp'));
      await rename(disk.at('conf/..data_tmp'), disk.at('conf/..data'));
    };
    await swap('one');
    await symlink('..data/c.yaml', disk.at('conf/c.yaml'));
    const watch = await disk.start();
    expect(stateOf(watch.initial)).toBe('one');
    for (const name of ['two', 'three']) {
      const changed = disk.next();
      await swap(name);
      await changed;
    }
    expect(disk.seen).toEqual(['two', 'three']);
  });

  it('the configuration watch reports a change if a file appears in a folder or disappears from it', async () => {
    await using disk = await overDisk('conf', everyMs);
    await mkdir(disk.at('conf'));
    await writeFile(disk.at('conf/a.yaml'), withInstance('one'));
    await disk.start();
    let changed = disk.next();
    await writeFile(disk.at('conf/b.yaml'), 'instance: twice\n');
    await changed;
    changed = disk.next();
    await rm(disk.at('conf/b.yaml'));
    await changed;
    expect(disk.seen).toEqual(['invalid', 'one']);
  });

  it('the configuration watch reports an edit in a folder that has replaced an identical folder', async () => {
    await using disk = await overDisk('conf', everyMs);
    for (const folder of ['conf', 'next']) {
      await mkdir(disk.at(folder));
      await writeFile(disk.at(`${folder}/a.yaml`), withInstance('one'));
    }
    await disk.start();
    const check = disk.look();
    await rename(disk.at('conf'), disk.at('before'));
    await rename(disk.at('next'), disk.at('conf'));
    await check;
    await writeFile(disk.at('conf/a.yaml'), withInstance('two'));
    while (disk.seen.at(-1) !== 'two') await disk.next();
  });

  it('the configuration watch reports a change if another folder replaces the configuration folder', async () => {
    await using disk = await overDisk('conf', everyMs);
    await mkdir(disk.at('conf'));
    await writeFile(disk.at('conf/a.yaml'), withInstance('one'));
    await disk.start();
    for (const name of ['two', 'three']) {
      await mkdir(disk.at('next'));
      await writeFile(disk.at('next/a.yaml'), withInstance(name));
      const changed = disk.next();
      await rename(disk.at('conf'), disk.at(`before-${name}`));
      await rename(disk.at('next'), disk.at('conf'));
      while (disk.seen.at(-1) !== name) await Promise.race([changed, disk.next()]);
    }
    expect(disk.seen.filter((watched) => watched !== 'invalid')).toEqual(['two', 'three']);
  });
});

describe('a file without read permission', () => {
  it('treats the configuration as invalid until an unreadable file becomes readable', async (context) => {
    context.skip(process.getuid?.() === 0, 'root may read everything');
    await using disk = await overDisk('c.yaml', 20);
    await writeFile(disk.at('c.yaml'), withInstance('one'));
    await disk.start();
    let changed = disk.next();
    await chmod(disk.at('c.yaml'), 0);
    await changed;
    changed = disk.next();
    await chmod(disk.at('c.yaml'), 0o600);
    await changed;
    expect(disk.seen).toEqual(['invalid', 'one']);
    expect(await readFile(disk.at('c.yaml'), 'utf8')).toBe(withInstance('one'));
  });
});
