import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createMemoryTrimmer } from '../../src/cli/heap.ts';

const MIB = 2 ** 20;

function open(first: { readonly rss: number; readonly heapUsed: number }) {
  const state = { ...first, collections: 0 };
  const memory = createMemoryTrimmer({
    usage: () => ({ rss: state.rss * MIB, heapUsed: state.heapUsed * MIB }),
    collect: () => {
      state.collections += 1;
      state.rss = 100;
    },
  });
  return { memory, state };
}

describe('memory trimmer', () => {
  it('the memory trimmer trims after the heap has grown by a large amount, and trims again only after further growth', () => {
    const { memory, state } = open({ rss: 200, heapUsed: 60 });
    memory.trim();
    memory.trim();
    expect(state.collections).toBe(1);
    state.rss = 139;
    memory.trim();
    expect(state.collections).toBe(1);
    state.rss = 140;
    memory.trim();
    expect(state.collections).toBe(2);
  });

  it('the memory trimmer trims after every 4 MiB of large values', () => {
    const { memory, state } = open({ rss: 65, heapUsed: 60 });
    for (let n = 0; n < 7; n += 1) memory.addLargeValue(MIB);
    expect(state.collections).toBe(1);
    memory.addLargeValue(MIB);
    expect(state.collections).toBe(2);
  });

  it('the memory trimmer does not trim a large heap, because the garbage collection would block the process too long', () => {
    const { memory, state } = open({ rss: 900, heapUsed: 257 });
    memory.trim();
    memory.addLargeValue(4 * MIB);
    expect(state.collections).toBe(0);
  });

  it('the memory trimmer makes V8 return memory, and other code cannot see the V8 flag that the trimmer sets', () => {
    const { stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'heap-child.ts')], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    const { freed, seen } = JSON.parse(stdout) as { freed: number; seen: boolean };
    expect(freed).toBeGreaterThan(16);
    expect(seen).toBe(false);
  });

  it('the memory trimmer works in a process that cannot open more files', () => {
    const script = join(import.meta.dirname, 'heap-few-files.ts');
    const { stdout, stderr } = spawnSync(
      'bash',
      ['-c', 'ulimit -n 64; exec "$@"', 'bash', process.execPath, script],
      { encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    expect(stdout).toBe('EMFILE\ngoes on\n');
  });

  it('V8 does not optimize the parser of HTTP answers, which would need much memory', () => {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [join(import.meta.dirname, 'heap-http.ts'), 'small'],
      { encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    expect(Number(stdout)).toBeGreaterThan(0);
    expect(Number(stdout)).toBeLessThan(12);
  });
});
