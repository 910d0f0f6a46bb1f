import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:https';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { expect, it, vi } from 'vitest';
import { type Connection, createPool } from '../../src/cluster/pool.ts';
import { createAuthority } from '../fakes/certificates.ts';
import { closeServer, listen } from '../fakes/loopback.ts';

it('the pool returns one dispatcher for equal connection settings, and a new one after a certificate changes', async () => {
  await using pool = createPool();
  const connection = { ca: 'ca', cert: 'first', key: 'k' };
  const first = pool.dispatcher(connection);
  expect(pool.dispatcher({ ...connection, ca: Buffer.from('ca') })).toBe(first);
  const second = pool.dispatcher({ ...connection, cert: 'renewed' });
  expect(second).not.toBe(first);
  // The old dispatcher is closed, so it accepts no requests.
  await expect(
    first.request({ origin: 'http://127.0.0.1:1', path: '/', method: 'GET' }),
  ).rejects.toMatchObject({
    code: expect.stringMatching(/^UND_ERR_(CLOSED|DESTROYED)$/),
  });
});

it('the pool rejects a server with an unknown CA unless the connection settings allow it, whatever the environment variables are', async () => {
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
    // A proxy with an unknown CA is also rejected, because a proxy learns the target address.
    const proxy = origin.replace('127.0.0.1', 'localhost');
    await expect(ask({ ca: other.ca, proxy })).rejects.toMatchObject(untrusted);
    expect(await ask({ ca: own.ca, rejectUnauthorized: false })).toBe('ok');
  } finally {
    vi.unstubAllEnvs();
    await closeServer(server);
  }
});

it('the pool opens a new tunnel if the proxy did not answer the request for the first tunnel', async () => {
  const own = createAuthority('own');
  const server = createServer(own.issue({ names: ['127.0.0.1'] }), (_, response) => response.end('ok'));
  const port = await listen(server);
  let requests = 0;
  const proxy = createHttpServer().on('connect', (_, socket: Duplex) => {
    requests += 1;
    // The proxy never responds to the first tunnel.
    if (requests === 1) return void socket.on('end', () => socket.end()).resume();
    const upstream = connect(port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    upstream.pipe(socket).pipe(upstream);
  });
  const connection = { ca: own.ca, proxy: `http://127.0.0.1:${await listen(proxy)}` };
  const pool = createPool(1, 300);
  const ask = async (signal?: AbortSignal) => {
    const wanted = { origin: `https://127.0.0.1:${port}`, path: '/', method: 'GET' } as const;
    const { body } = await pool.dispatcher(connection).request({ ...wanted, ...(signal && { signal }) });
    return body.text();
  };
  try {
    await expect(ask(AbortSignal.timeout(50))).rejects.toMatchObject({ name: 'TimeoutError' });
    await expect.poll(() => ask().catch(({ code }: { code: string }) => code)).toBe('ok');
    expect(requests).toBe(2);
  } finally {
    await pool[Symbol.asyncDispose]();
    await Promise.all([closeServer(proxy), closeServer(server)]);
  }
});
