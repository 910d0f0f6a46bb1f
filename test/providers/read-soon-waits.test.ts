import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { resolveCredential } from '../../src/providers/credentials.ts';
import { trustAlso } from '../../src/providers/tls.ts';

/** A file system whose server is away: each call to it holds a thread until it returns. */
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

afterEach(() => {
  comeBack();
  vi.useRealTimers();
});

it('a credential in a file system that hangs is not waited for, holds one thread, and is read once it is back', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-soon-'));
  await using _ = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
  const file = join(folder, 'token');
  await writeFile(file, 'tok\n');
  const read = () => resolveCredential({ file }, { env: {} });
  server.isAway = true;
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  for (let round = 0; round < 3; round += 1) {
    const asked = Promise.allSettled([read(), trustAlso(file)]);
    await vi.advanceTimersByTimeAsync(10_000);
    for (const result of await asked)
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { code: 'TIMEOUT', heals: true, about: `file ${file}` },
      });
  }
  expect(server.held).toHaveLength(1);
  comeBack();
  vi.useRealTimers();
  expect((await read()).revealText()).toBe('tok');
});
