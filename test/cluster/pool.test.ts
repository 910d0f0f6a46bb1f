import { createServer } from 'node:https';
import { expect, it, vi } from 'vitest';
import { type Connection, createPool } from '../../src/cluster/pool.ts';
import { createAuthority } from '../fakes/certificates.ts';
import { closeServer, listen } from '../fakes/loopback.ts';

it('gives the same dispatcher for the same connection, and another one for another certificate', async () => {
  await using pool = createPool();
  const connection = { ca: 'ca', cert: 'first', key: 'k' };
  const first = pool.dispatcher(connection);
  expect(pool.dispatcher({ ...connection, ca: Buffer.from('ca') })).toBe(first);
  const second = pool.dispatcher({ ...connection, cert: 'renewed' });
  expect(second).not.toBe(first);
  // The old one is closed: it takes no request any more.
  await expect(
    first.request({ origin: 'http://127.0.0.1:1', path: '/', method: 'GET' }),
  ).rejects.toMatchObject({
    code: expect.stringMatching(/^UND_ERR_(CLOSED|DESTROYED)$/),
  });
});

it('trusts no server of another authority unless the connection says so, whatever the environment says', async () => {
  const [own, other] = [createAuthority('own'), createAuthority('other')];
  const server = createServer(other.issue({ names: ['127.0.0.1'] }), (_, response) => response.end('ok'));
  const origin = `https://127.0.0.1:${await listen(server)}`;
  await using pool = createPool();
  const ask = async (connection: Connection) => {
    const { body } = await pool.dispatcher(connection).request({ origin, path: '/', method: 'GET' });
    return body.text();
  };
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  try {
    const untrusted = { code: expect.stringMatching(/UNABLE_TO_|CERT/) as unknown };
    await expect(ask({ ca: own.ca })).rejects.toMatchObject(untrusted);
    // Nor a proxy, which is told where to connect us.
    const proxy = origin.replace('127.0.0.1', 'localhost');
    await expect(ask({ ca: other.ca, proxy })).rejects.toMatchObject(untrusted);
    expect(await ask({ ca: own.ca, rejectUnauthorized: false })).toBe('ok');
  } finally {
    vi.unstubAllEnvs();
    await closeServer(server);
  }
});
