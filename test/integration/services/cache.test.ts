import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cachedFolder, withLock } from '../../../scripts/setup/cache.js';

let base = '';
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'secretbridge-cache-'));
});
afterEach(() => rmSync(base, { recursive: true }));

/** The id of a process that has ended. */
const endedPid = () => spawnSync(process.execPath, ['-e', '']).pid;

describe('cachedFolder', () => {
  it('builds once for simultaneous callers', async () => {
    let builds = 0;
    const waits: string[] = [];
    const build = () =>
      cachedFolder(
        join(base, 'x-1'),
        async (draft) => {
          builds++;
          expect(existsSync(join(base, 'x-1'))).toBe(false);
          writeFileSync(join(draft, 'file'), 'content');
        },
        () => waits.push('waited'),
      );
    const paths = await Promise.all([build(), build(), build()]);
    expect(builds).toBe(1);
    expect(waits).toHaveLength(2);
    expect(new Set(paths)).toEqual(new Set([join(base, 'x-1')]));
    expect(readFileSync(join(base, 'x-1', 'file'), 'utf8')).toBe('content');
    expect(readdirSync(base)).toEqual(['x-1']);
  });

  it('removes a failed build, and builds again', async () => {
    const failing = cachedFolder(join(base, 'x-1'), async () => {
      throw new Error('no network');
    });
    await expect(failing).rejects.toThrow('no network');
    expect(readdirSync(base)).toEqual([]);
    await cachedFolder(join(base, 'x-1'), async () => {});
    expect(readdirSync(base)).toEqual(['x-1']);
  });

  it('removes the folder of a killed build', async () => {
    mkdirSync(join(base, `x-1.new-${endedPid()}`));
    await cachedFolder(join(base, 'x-1'), async () => {});
    expect(readdirSync(base)).toEqual(['x-1']);
  });
});

describe('withLock', () => {
  it.each([
    ['ended', () => `${endedPid()}-12345`],
    ['has reused the id of an ended process', () => `${process.pid}-12345`],
  ])('takes over the lock of a process that %s', async (_, holder) => {
    const path = join(base, 'lock');
    symlinkSync(holder(), path);
    expect(await withLock(path, async () => 'done')).toBe('done');
    expect(readdirSync(base)).toEqual([]);
  });

  it('admits one holder at a time when several callers find the same stale lock', async () => {
    const path = join(base, 'lock');
    symlinkSync(`${endedPid()}-12345`, path);
    let holders = 0;
    const enter = () =>
      withLock(path, async () => {
        expect(++holders).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        holders--;
      });
    await Promise.all(Array.from({ length: 5 }, enter));
  });
});
