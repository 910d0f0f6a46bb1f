import { appendFile, chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/audit/checkpoint/checkpoint.ts';
import {
  CHECKPOINTS_KEY,
  type ConfigMapClient,
  configMapPlace,
} from '../../src/audit/checkpoint/places/config-map.ts';
import { filePlace } from '../../src/audit/checkpoint/places/file.ts';
import { stdoutPlace } from '../../src/audit/checkpoint/places/stdout.ts';
import { temporaryFolder } from './folder.ts';

const checkpoint = (sequence: number): Checkpoint => ({
  sequence,
  hash: 'a'.repeat(64),
  time: new Date(1_800_000_000_000 + sequence).toISOString(),
  instance: 'prod',
  keyId: 'f'.repeat(16),
  signature: `s${sequence}`,
});

describe('a file of checkpoints', () => {
  it('is made when it is first needed, for its owner alone, and grows', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'state', 'checkpoints.jsonl');
    const place = filePlace(path);
    expect(await place.read()).toEqual([]);
    for (const n of [1, 2, 3]) await place.write(checkpoint(n));
    expect(await place.read()).toEqual([1, 2, 3].map(checkpoint));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(4);
  });

  it('bears a line that a crash tore', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'checkpoints.jsonl');
    const place = filePlace(path);
    await place.write(checkpoint(1));
    await appendFile(path, '{"hash":"aaaa","signature":"to');
    expect(await place.read()).toEqual([checkpoint(1)]);
    await place.write(checkpoint(2));
    expect(await place.read()).toEqual([1, 2].map(checkpoint));
  });

  it('takes what several write at once', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'checkpoints.jsonl');
    const numbers = Array.from({ length: 50 }, (_, index) => index + 1);
    await Promise.all(numbers.map((n) => filePlace(path).write(checkpoint(n))));
    const found = (await filePlace(path).read()).map(({ sequence }) => sequence);
    expect(found.toSorted((a, b) => a - b)).toEqual(numbers);
  });

  it('that cannot be read is no empty one', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'checkpoints.jsonl');
    await mkdir(path);
    const failure = { code: 'AUDIT_UNAVAILABLE', message: expect.stringContaining(path) };
    await expect(filePlace(path).read()).rejects.toMatchObject(failure);
    await expect(filePlace(path).write(checkpoint(1))).rejects.toMatchObject(failure);
    const below = join(folder.path, 'file');
    await writeFile(below, '');
    await chmod(below, 0o400);
    await expect(filePlace(join(below, 'x')).write(checkpoint(1))).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
    });
  });

  it('says whether it can be written, and makes nothing for that', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'state', 'far', 'checkpoints.jsonl');
    await filePlace(path).rehearse();
    expect(await readdir(folder.path)).toEqual([]);
    await filePlace(path).write(checkpoint(1));
    const written = await readFile(path, 'utf8');
    await filePlace(path).rehearse();
    expect(await readFile(path, 'utf8')).toBe(written);
    // What runs is not written, by whoever it is.
    await expect(filePlace(process.execPath).rehearse()).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
  });

  it('that its folder does not take cannot be written', async (context) => {
    context.skip(process.getuid?.() === 0, 'root may read and write everything');
    await using folder = await temporaryFolder();
    await chmod(folder.path, 0o500);
    await expect(filePlace(join(folder.path, 'x', 'y')).rehearse()).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
    });
  });
});

it('standard output gets a line each, and tells nothing back', async () => {
  const lines: string[] = [];
  const place = stdoutPlace((line) => lines.push(line));
  await place.write(checkpoint(7));
  expect(lines.map((line) => JSON.parse(line))).toEqual([{ checkpoint: checkpoint(7) }]);
  expect(await place.read()).toEqual([]);
});

describe('a ConfigMap of checkpoints', () => {
  function memory(conflicts = 0) {
    let stored: { data: Readonly<Record<string, string>> } | undefined;
    let left = conflicts;
    const client: ConfigMapClient = {
      read: async () => stored,
      async write(data, read, { dryRun = false } = {}) {
        if (read !== stored) return 'conflict';
        if (dryRun) return 'written';
        left -= 1;
        if (left >= 0) {
          // Somebody else was faster.
          stored = { data: { ...stored?.data, theirs: String(left) } };
          return 'conflict';
        }
        stored = { data };
        return 'written';
      },
    };
    return { client, data: () => stored?.data };
  }

  it('keeps the last hundred', async () => {
    const { client } = memory();
    const place = configMapPlace('ConfigMap a/b', client);
    for (let n = 1; n <= 103; n += 1) await place.write(checkpoint(n));
    const found = await place.read();
    expect(found).toHaveLength(100);
    expect([found[0]?.sequence, found.at(-1)?.sequence]).toEqual([4, 103]);
  });

  it('adds to what others wrote meanwhile, and leaves their keys', async () => {
    const { client, data } = memory(3);
    await configMapPlace('ConfigMap a/b', client).write(checkpoint(1));
    expect(data()).toEqual({ theirs: '0', [CHECKPOINTS_KEY]: expect.stringContaining('"sequence":1') });
  });

  it('loses none of what several replicas write at once', async () => {
    const { client } = memory();
    const places = [1, 2, 3, 4].map(() => configMapPlace('ConfigMap a/b', client));
    await Promise.all(places.map((place, n) => place.write(checkpoint(n + 1))));
    expect((await places[0]?.read())?.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
  });

  it('gives up when others are always faster', async () => {
    const { client } = memory(1_000);
    const write = configMapPlace('ConfigMap a/b', client).write(checkpoint(1));
    await expect(write).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});
