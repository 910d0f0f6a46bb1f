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

it('takes http proxies, and says so of what it does not take', async () => {
  await using pool = createPool();
  expect(() => pool.dispatcher({ proxy: 'socks5://127.0.0.1:1' })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', detail: 'only http and https proxies are supported' }),
  );
  expect(pool.dispatcher({ proxy: 'http://127.0.0.1:1' })).toBeDefined();
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
    await expect(ask({ ca: own.ca })).rejects.toMatchObject({
      code: expect.stringMatching(/UNABLE_TO_|CERT/),
    });
    expect(await ask({ ca: own.ca, rejectUnauthorized: false })).toBe('ok');
  } finally {
    vi.unstubAllEnvs();
    await closeServer(server);
  }
});
