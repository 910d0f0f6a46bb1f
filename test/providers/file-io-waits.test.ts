import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { resolveCredential } from '../../src/providers/credentials.ts';
import { secureContextWithCa } from '../../src/providers/tls.ts';

/** A file system whose server does not respond. Each call blocks a thread until the server responds again. */
const server = vi.hoisted(() => ({ isAway: false, held: [] as (() => void)[] }));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  return {
    ...real,
    async stat(path: string) {
      if (server.isAway && path.includes('secretbridge-soon-'))
        await new Promise<void>((back) => void server.held.push(back));
      return real.stat(path);
    },
  };
});

function comeBack(): void {
  server.isAway = false;
  for (const back of server.held.splice(0)) back();
}

async function folderWith(...names: string[]) {
  const path = await mkdtemp(join(tmpdir(), 'secretbridge-soon-'));
  for (const name of names) await writeFile(join(path, name), `${name}\n`);
  return {
    files: names.map((name) => join(path, name)),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}

const readAll = (files: readonly string[]) => files.map((file) => resolveCredential({ file }, { env: {} }));

afterEach(() => {
  comeBack();
  vi.useRealTimers();
});

it('blocks only one thread for a credential on a hanging file system, and reads the credential after the recovery', async () => {
  await using folder = await folderWith('token');
  const [file = ''] = folder.files;
  const read = () => resolveCredential({ file }, { env: {} });
  server.isAway = true;
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  for (let round = 0; round < 3; round += 1) {
    const results = Promise.allSettled([read(), secureContextWithCa(file)]);
    await vi.advanceTimersByTimeAsync(10_000);
    for (const result of await results)
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { code: 'TIMEOUT', isTransient: true, subject: `file ${file}` },
      });
  }
  expect(server.held).toHaveLength(1);
  comeBack();
  vi.useRealTimers();
  expect((await read()).revealText()).toBe('token');
});

it.each([
  ['one folder', 1, 1],
  ['several folders', 3, 2],
])(
  'leaves threads free while many credentials in %s hang, and completes all reads after the recovery',
  async (_, count, held) => {
    await using folders = new AsyncDisposableStack();
    const opened = await Promise.all(
      Array.from({ length: count }, () => folderWith('token', 'ca', 'cert', 'key')),
    );
    for (const folder of opened) folders.use(folder);
    const all = opened.flatMap(({ files }) => files);
    server.isAway = true;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    for (let round = 0; round < 2; round += 1) {
      const results = Promise.allSettled(readAll(all));
      await vi.advanceTimersByTimeAsync(10_000);
      for (const result of await results)
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'TIMEOUT' } });
    }
    expect(server.held).toHaveLength(held);
    comeBack();
    vi.useRealTimers();
    const values = await Promise.all(readAll(all));
    expect(values.map((value) => value.revealText())).toEqual(
      opened.flatMap(() => ['token', 'ca', 'cert', 'key']),
    );
  },
);
