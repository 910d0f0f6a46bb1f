import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { freePort, PortClash, retryOnPortClash } from './free-port.ts';
import { assertStarting, openTemporaryGuard } from './guarded.ts';

describe('freePort', () => {
  it('returns free ports that differ from each other', async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, freePort));
    expect(new Set(ports).size).toBe(50);
    const server = createServer().listen(ports[0], '127.0.0.1');
    await once(server, 'listening');
    server.close();
  });
});

describe('retryOnPortClash', () => {
  const failing = (times: number, error: Error) => {
    let tries = 0;
    return async () => {
      if (++tries <= times) throw error;
      return tries;
    };
  };

  it('retries five times at most', async () => {
    expect(await retryOnPortClash(failing(4, new PortClash('taken')))).toBe(5);
    await expect(retryOnPortClash(failing(5, new PortClash('taken')))).rejects.toThrow('taken');
  });

  it('throws every error that is not a port clash, without a retry', async () => {
    await expect(retryOnPortClash(failing(1, new Error('other')))).rejects.toThrow('other');
  });

  it.each([
    ['listen tcp 127.0.0.1:20000: bind: address already in use', true],
    ['unknown flag', false],
  ])('recognizes a port clash in "%s": %s', async (words, isClash) => {
    const guard = await openTemporaryGuard('test');
    const args = ['-e', `console.error(${JSON.stringify(words)}); process.exit(1)`];
    const server = guard.start({ name: 'server', command: process.execPath, args, env: {} });
    await server.ended;
    const error: unknown = await assertStarting(server).catch((reason: unknown) => reason);
    expect(error instanceof PortClash).toBe(isClash);
    expect(String(error)).toContain('server ended with status 1.');
    await guard.close();
  });
});
