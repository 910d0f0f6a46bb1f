import { expect, it } from 'vitest';
import { createPool } from '../../src/cluster/pool.ts';

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
