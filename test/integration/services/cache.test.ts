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
  it('builds once, however many ask at the same time', async () => {
    let builds = 0;
    const waited: string[] = [];
    const ask = () =>
      cachedFolder(
        join(base, 'x-1'),
        async (draft) => {
          builds++;
          expect(existsSync(join(base, 'x-1'))).toBe(false);
          writeFileSync(join(draft, 'file'), 'content');
        },
        () => waited.push('waited'),
      );
    const paths = await Promise.all([ask(), ask(), ask()]);
    expect(builds).toBe(1);
    expect(waited).toHaveLength(2);
    expect(new Set(paths)).toEqual(new Set([join(base, 'x-1')]));
    expect(readFileSync(join(base, 'x-1', 'file'), 'utf8')).toBe('content');
    expect(readdirSync(base)).toEqual(['x-1']);
  });

  it('leaves nothing of a build that failed, and builds again', async () => {
    const failing = cachedFolder(join(base, 'x-1'), async () => {
      throw new Error('no network');
    });
    await expect(failing).rejects.toThrow('no network');
    expect(readdirSync(base)).toEqual([]);
    await cachedFolder(join(base, 'x-1'), async () => {});
    expect(readdirSync(base)).toEqual(['x-1']);
  });

  it('removes what a killed build left behind', async () => {
    mkdirSync(join(base, `x-1.new-${endedPid()}`));
    await cachedFolder(join(base, 'x-1'), async () => {});
    expect(readdirSync(base)).toEqual(['x-1']);
  });
});

describe('withLock', () => {
  it.each([
    ['ended', () => `${endedPid()}-12345`],
    ['got the id of an ended one', () => `${process.pid}-12345`],
  ])('takes the lock over from a process that has %s', async (_, holder) => {
    const path = join(base, 'lock');
    symlinkSync(holder(), path);
    expect(await withLock(path, async () => 'done')).toBe('done');
    expect(readdirSync(base)).toEqual([]);
  });

  it('never lets two in, also when all find a stale lock', async () => {
    const path = join(base, 'lock');
    symlinkSync(`${endedPid()}-12345`, path);
    let inside = 0;
    const enter = () =>
      withLock(path, async () => {
        expect(++inside).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        inside--;
      });
    await Promise.all(Array.from({ length: 5 }, enter));
  });
});
