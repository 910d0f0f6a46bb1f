import { appendFile, chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/audit/checkpoint/checkpoint.ts';
import {
  CHECKPOINTS_KEY,
  type ConfigMapClient,
  configMapLocation,
  fileLocation,
  stdoutLocation,
} from '../../src/audit/checkpoint/locations.ts';
import { temporaryFolder } from './folder.ts';

const checkpoint = (sequence: number): Checkpoint => ({
  sequence,
  hash: 'a'.repeat(64),
  time: new Date(1_800_000_000_000 + sequence).toISOString(),
  instance: 'prod',
  keyId: 'f'.repeat(16),
  signature: `s${sequence}`,
});

describe('checkpoint file', () => {
  it('the first write creates a checkpoint file that only its owner can access, and later writes append to that file', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'state', 'checkpoints.jsonl');
    const location = fileLocation(path);
    expect(await location.read()).toEqual([]);
    for (const n of [1, 2, 3]) await location.write(checkpoint(n));
    expect(await location.read()).toEqual([1, 2, 3].map(checkpoint));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(4);
  });

  it('a checkpoint file is read without its last line if a crash left that line incomplete', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'checkpoints.jsonl');
    const location = fileLocation(path);
    await location.write(checkpoint(1));
    await appendFile(path, '{"hash":"aaaa","signature":"to');
    expect(await location.read()).toEqual([checkpoint(1)]);
    await location.write(checkpoint(2));
    expect(await location.read()).toEqual([1, 2].map(checkpoint));
  });

  it('a checkpoint file contains the lines of all writes if several writes run concurrently', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'checkpoints.jsonl');
    const numbers = Array.from({ length: 50 }, (_, index) => index + 1);
    await Promise.all(numbers.map((n) => fileLocation(path).write(checkpoint(n))));
    const found = (await fileLocation(path).read()).map(({ sequence }) => sequence);
    expect(found.toSorted((a, b) => a - b)).toEqual(numbers);
  });

  it('an unreadable checkpoint file causes an error, and is not treated as an empty file', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'checkpoints.jsonl');
    await mkdir(path);
    const failure = { code: 'AUDIT_UNAVAILABLE', message: expect.stringContaining(path) };
    await expect(fileLocation(path).read()).rejects.toMatchObject(failure);
    await expect(fileLocation(path).write(checkpoint(1))).rejects.toMatchObject(failure);
    const below = join(folder.path, 'file');
    await writeFile(below, '');
    await chmod(below, 0o400);
    await expect(fileLocation(join(below, 'x')).write(checkpoint(1))).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
    });
  });

  it('a checkpoint file is neither created nor changed by a check for write access', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'state', 'far', 'checkpoints.jsonl');
    await fileLocation(path).checkWritable();
    expect(await readdir(folder.path)).toEqual([]);
    await fileLocation(path).write(checkpoint(1));
    const written = await readFile(path, 'utf8');
    await fileLocation(path).checkWritable();
    expect(await readFile(path, 'utf8')).toBe(written);
    // The file of a running program cannot be opened for writing, even by root.
    await expect(fileLocation(process.execPath).checkWritable()).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
    });
  });

  it('a checkpoint file fails the check for write access if its folder is not writable', async (context) => {
    context.skip(process.getuid?.() === 0, 'root may read and write everything');
    await using folder = await temporaryFolder();
    await chmod(folder.path, 0o500);
    await expect(fileLocation(join(folder.path, 'x', 'y')).checkWritable()).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
    });
  });
});

it('a checkpoint location on standard output gets one line per checkpoint, and a read of that location returns no checkpoints', async () => {
  const lines: string[] = [];
  const location = stdoutLocation((line) => lines.push(line));
  await location.write(checkpoint(7));
  expect(lines.map((line) => JSON.parse(line))).toEqual([{ checkpoint: checkpoint(7) }]);
  expect(await location.read()).toEqual([]);
});

describe('checkpoint ConfigMap', () => {
  function memory(conflicts = 0) {
    let stored: { data: Readonly<Record<string, string>> } | undefined;
    let remaining = conflicts;
    const client: ConfigMapClient = {
      read: async () => stored,
      async write(data, read, { dryRun = false } = {}) {
        if (read !== stored) return 'conflict';
        if (dryRun) return 'written';
        remaining -= 1;
        if (remaining >= 0) {
          // Simulates another writer that changed the object between our read and our write.
          stored = { data: { ...stored?.data, theirs: String(remaining) } };
          return 'conflict';
        }
        stored = { data };
        return 'written';
      },
    };
    return { client, data: () => stored?.data };
  }

  it('a checkpoint ConfigMap keeps only the last hundred checkpoints', async () => {
    const { client } = memory();
    const location = configMapLocation('ConfigMap a/b', client);
    for (let n = 1; n <= 103; n += 1) await location.write(checkpoint(n));
    const found = await location.read();
    expect(found).toHaveLength(100);
    expect([found[0]?.sequence, found.at(-1)?.sequence]).toEqual([4, 103]);
  });

  it('a checkpoint ConfigMap keeps the keys and checkpoints that another writer adds during a write', async () => {
    const { client, data } = memory(3);
    await configMapLocation('ConfigMap a/b', client).write(checkpoint(1));
    expect(data()).toEqual({ theirs: '0', [CHECKPOINTS_KEY]: expect.stringContaining('"sequence":1') });
  });

  it('a checkpoint ConfigMap loses no checkpoint if several replicas write concurrently', async () => {
    const { client } = memory();
    const locations = [1, 2, 3, 4].map(() => configMapLocation('ConfigMap a/b', client));
    await Promise.all(locations.map((location, n) => location.write(checkpoint(n + 1))));
    expect((await locations[0]?.read())?.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
  });

  it('a checkpoint ConfigMap rejects a write after several conflicts in a row', async () => {
    const { client } = memory(1_000);
    const write = configMapLocation('ConfigMap a/b', client).write(checkpoint(1));
    await expect(write).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});
