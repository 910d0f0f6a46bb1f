import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, it, vi } from 'vitest';
import { reveal } from '../../conformance/provider.ts';
import { IDENTITY_HEADER } from '../../fakes/azure-server/login.ts';
import { startAzureServer } from '../../fakes/azure-server/server.ts';
import { closeServer, listen } from '../../fakes/loopback.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { openOn } from './harness.ts';

// The Azure library determines the proxy and the endpoint only once in a process. So this test has its own file.

it('requests a managed identity without a proxy', async () => {
  const requests: unknown[] = [];
  const proxy = createServer(({ url }, response) => {
    requests.push(url);
    response.writeHead(502).end();
  });
  // Connections to the vault may go through the proxy.
  proxy.on('connect', ({ url = '' }, socket: Socket) => {
    const { hostname, port } = new URL(`http://${url}`);
    const upstream = connect(Number(port), hostname, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    upstream.pipe(socket).pipe(upstream);
    for (const end of [socket, upstream]) {
      end.on('error', () => upstream.destroy());
      end.on('close', () => socket.destroy());
    }
  });
  const address = `http://127.0.0.1:${await listen(proxy)}`;
  await using server = await startAzureServer();
  server.secrets.put('a', '1');
  vi.stubEnv('IDENTITY_ENDPOINT', server.identityEndpoint);
  vi.stubEnv('IDENTITY_HEADER', IDENTITY_HEADER);
  for (const name of ['HTTPS_PROXY', 'HTTP_PROXY']) vi.stubEnv(name, address);
  const config = { auth: { method: 'managedIdentity' } };
  try {
    await using store = await openOn(server, {
      config,
      deps: { env: {}, clock: createManualTime(Date.now()) },
    });
    expect(reveal(await store.read('a'))).toBe('1');
  } finally {
    vi.unstubAllEnvs();
    await closeServer(proxy);
  }
  expect(requests).toEqual([]);
});
