import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { temporaryFolder } from '../../audit/folder.ts';
import { entry } from '../../audit/sample.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { postgres } from '../services/inject.ts';
import { type Postgres, startPostgres } from '../services/postgres.ts';
import { openAt } from './database.ts';
import { startTcpProxy } from './tcp-proxy.ts';

let server: Postgres;
beforeAll(async () => {
  server = await startPostgres({ tls: true });
});
afterAll(() => server.stop());

function failing(detail: string) {
  return { code: 'AUDIT_UNAVAILABLE', message: expect.stringContaining(detail) };
}

function tls(serverName?: string) {
  return { tls: { caFile: server.caFile, serverName } };
}

it('connects with the configured certificate authority and server name', async () => {
  await using store = await openAt(server.url, tls('audit.test'));
  expect(await store.append([entry()])).toHaveLength(1);
});

it.each(['require', 'verify-full'])('checks the server name if sslmode is %s', async (mode) => {
  const url = `${server.url}?sslmode=${mode}`;
  await expect(openAt(url, tls('else.test'))).rejects.toMatchObject(failing('is for another name'));
  await expect(openAt(url, tls())).rejects.toMatchObject(failing('is for another name'));
  await expect(openAt(url)).rejects.toMatchObject(failing('set `tls.caFile`'));
  const local = url.replace('127.0.0.1', 'localhost');
  await using store = await openAt(local, tls());
  expect(await store.append([entry()])).toHaveLength(1);
});

it('checks only the certificate authority, and not the server name, if sslmode is verify-ca', async () => {
  await using store = await openAt(`${server.url}?sslmode=verify-ca`, tls());
  expect(await store.append([entry()])).toHaveLength(1);
  await using folder = await temporaryFolder();
  const caFile = join(folder.path, 'ca.pem');
  await writeFile(caFile, createAuthority('Another').ca);
  await expect(openAt(`${server.url}?sslmode=verify-ca`, { tls: { caFile } })).rejects.toMatchObject(
    failing('set `tls.caFile`'),
  );
});

it('never falls back to a connection without TLS', async () => {
  await expect(openAt(`${server.url}?sslmode=disable`)).rejects.toMatchObject(failing('refuses the user'));
  await expect(openAt(postgres().url, tls('audit.test'))).rejects.toMatchObject(failing('offers no TLS'));
  await using folder = await temporaryFolder();
  await expect(openAt(server.url, { tls: { caFile: join(folder.path, 'none.pem') } })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
  });
});

it('closes the connection when the server freezes, and reconnects', async () => {
  await using proxy = await startTcpProxy(server.url);
  await using store = await openAt(proxy.url, tls('audit.test'));
  await store.append([entry()]);
  proxy.freeze();
  const start = performance.now();
  await expect(store.append([entry()])).rejects.toMatchObject(failing('does not answer'));
  expect(performance.now() - start).toBeLessThan(12_000);
  proxy.restore();
  expect(await store.append([entry()])).toHaveLength(1);
});

it.each([
  ['closes without a response', undefined],
  ['speaks another protocol', '220 mail.example.org ESMTP\r\n'],
])('rejects a server that %s', async (_, greeting) => {
  const listener = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.resume();
    if (greeting !== undefined) socket.end(greeting);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  const port = typeof address === 'object' ? address?.port : 0;
  for (const mode of ['disable', 'require'])
    await expect(openAt(`postgres://a:b@127.0.0.1:${port}/c?sslmode=${mode}`)).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
    });
  await new Promise((resolve) => listener.close(resolve));
});
