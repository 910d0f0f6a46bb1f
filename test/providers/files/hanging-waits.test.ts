import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { files } from '../../../src/providers/files/index.ts';
import { codeOf } from '../../conformance/provider.ts';
import { testDeps } from '../../conformance/provider-deps.ts';

/**
 * Paths that hang like a file system whose server does not respond. Each call for such a path blocks a thread until
 * `back` is called.
 */
const server = vi.hoisted(() => ({
  away: /^$/,
  held: [] as { readonly path: string; readonly back: () => void }[],
  onHeld: () => {},
  msFor: (_path: string): number => 0,
  /** The number of calls that are waiting for the time that `msFor` returned. */
  slowed: 0,
}));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  return {
    ...real,
    async realpath(path: string) {
      if (server.away.test(path))
        await new Promise<void>((back) => {
          server.held.push({ path, back });
          server.onHeld();
        });
      const ms = server.msFor(path);
      if (ms > 0) {
        server.slowed += 1;
        await new Promise((resolve) => setTimeout(resolve, ms));
        server.slowed -= 1;
      }
      return real.realpath(path);
    },
  };
});

function comeBack() {
  server.away = /^$/;
  for (const { back } of server.held.splice(0)) back();
}

afterEach(() => {
  comeBack();
  server.onHeld = () => {};
  server.msFor = () => 0;
  vi.useRealTimers();
});

async function open(timeoutMs = 100) {
  const path = await mkdtemp(join(tmpdir(), 'secretbridge-hanging-'));
  for (let n = 0; n < 8; n += 1) await writeFile(join(path, `k${n}`), 'x');
  const provider = await files.create({ kind: 'files', path }, testDeps({ timeoutMs }));
  return {
    path,
    read: async (...keys: string[]) => (await provider.read(keys.map((key) => ({ key })))).map(codeOf),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}

const KEYS = Array.from({ length: 8 }, (_, n) => `k${n}`);

describe('a hanging file system', () => {
  it('blocks at most two threads for any number of reads, and reads the files again after the recovery', async () => {
    await using store = await open();
    await using other = await open();
    server.away = new RegExp(`^${store.path}`);
    for (let round = 0; round < 3; round += 1)
      expect(await store.read(...KEYS)).toEqual(KEYS.map(() => 'TIMEOUT'));
    expect(server.held).toHaveLength(2);
    expect(await other.read(...KEYS)).toEqual(KEYS.map(() => 'found'));
    comeBack();
    expect(await store.read(...KEYS)).toEqual(KEYS.map(() => 'found'));
  });

  it('leaves a thread free for the network, even if many stores hang', async () => {
    await using stores = new AsyncDisposableStack();
    const opened = await Promise.all(Array.from({ length: 4 }, () => open()));
    for (const store of opened) stores.use(store);
    server.away = /secretbridge-hanging/;
    const read = await Promise.all(opened.map((store) => store.read(...KEYS)));
    expect(new Set(read.flat())).toEqual(new Set(['TIMEOUT']));
    expect(server.held).toHaveLength(3);
  });

  it('reads all keys except the hanging key if only one key hangs', async () => {
    await using store = await open();
    server.away = /k3$/;
    for (let round = 0; round < 3; round += 1)
      expect(await store.read('k3', 'k4', 'k5')).toEqual(['TIMEOUT', 'found', 'found']);
    expect(server.held).toHaveLength(1);
  });

  it('fails with TIMEOUT if the file system starts to hang after all files were read', async () => {
    await using store = await open(60_000);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const held = new Promise<void>((resolve) => {
      server.onHeld = resolve;
    });
    let checks = 0;
    // The second check of the file comes after the read.
    server.away = { test: (path: string) => path.endsWith('k0') && ++checks > 1 } as RegExp;
    const reading = store.read('k0', 'k1');
    await held;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await reading).toEqual(['TIMEOUT', 'TIMEOUT']);
  });

  it('reads all keys from a slow file system without TIMEOUT, even if many keys are checked twice', async () => {
    await using store = await open(60_000);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const seen = new Set<string>();
    const again: string[] = [];
    server.msFor = (path) => {
      if (!/k\d$/.test(path)) return 0;
      if (!seen.has(path)) {
        seen.add(path);
        return 0;
      }
      again.push(path);
      return 5_000;
    };
    let isRead = false;
    const reading = store.read(...KEYS).finally(() => {
      isRead = true;
    });
    // Advance the fake time only while a call waits for it. A call to the real file system takes real time, and the
    // fake time must not pass during this call.
    while (!isRead)
      if (server.slowed > 0) await vi.advanceTimersByTimeAsync(5_000);
      else await new Promise((resolve) => setImmediate(resolve));
    expect(await reading).toEqual(KEYS.map(() => 'found'));
    expect(again).toHaveLength(KEYS.length);
  });
});
