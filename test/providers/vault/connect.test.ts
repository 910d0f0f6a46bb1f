import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { AppError } from '../../../src/core/errors.ts';
import { VaultConfig } from '../../../src/providers/vault/config.ts';
import { createTransport } from '../../../src/providers/vault/transport.ts';
import { createAuthority, type Issued } from '../../fakes/certificates.ts';
import { listen } from '../../fakes/loopback.ts';

const authority = createAuthority();

async function serveTls(options: ServerOptions) {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-tls-'));
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, authority.ca);
  let connections = 0;
  const shown: string[] = [];
  const server = createServer(options, (incoming, outgoing) => {
    if (incoming.socket instanceof TLSSocket) shown.push(incoming.socket.getPeerCertificate().serialNumber);
    outgoing.writeHead(200, { 'content-type': 'application/json' });
    outgoing.end('{}');
  });
  server.on('secureConnection', () => (connections += 1));
  server.on('tlsClientError', () => undefined);
  const port = await listen(server);
  return {
    folder,
    caFile,
    address: `https://127.0.0.1:${port}`,
    connections: () => connections,
    /** The serial numbers of the client certificates that the server has received. */
    shown,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await rm(folder, { recursive: true });
    },
  };
}

async function get(address: string, tls: Readonly<Record<string, string>> = {}, times = 1) {
  const auth = { method: 'token', token: { env: 'T' } };
  const config = VaultConfig.parse({ kind: 'vault', address, tls, auth });
  await using transport = createTransport(config, systemClock);
  try {
    const options = { method: 'GET', uri: `${address}/v1/x`, signal: new AbortController().signal };
    for (let time = 1; time < times; time += 1) await transport.send(options);
    return await transport.send(options);
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, detail: error.detail };
    throw error;
  }
}

describe('TLS to Vault', () => {
  it('trusts the authority in `caFile`, and uses few connections for many requests', async () => {
    await using server = await serveTls(authority.issue({ names: ['127.0.0.1'] }));
    expect(await get(server.address, { caFile: server.caFile }, 20)).toMatchObject({ status: 200 });
    expect(server.connections()).toBeLessThanOrEqual(2);
  });

  it('reports a server certificate from an unknown issuer', async () => {
    await using server = await serveTls(authority.issue({ names: ['127.0.0.1'] }));
    const other = join(server.folder, 'other.pem');
    await writeFile(other, createAuthority().ca);
    const expected = { code: 'TLS_FAILED', detail: expect.stringContaining('issuer') };
    expect(await get(server.address)).toEqual(expected);
    expect(await get(server.address, { caFile: other })).toEqual(expected);
  });

  it('reports a server certificate for another host name, unless `serverName` is that name', async () => {
    await using server = await serveTls(authority.issue({ names: ['vault.example.org'] }));
    const { caFile } = server;
    expect(await get(server.address, { caFile })).toEqual({
      code: 'TLS_FAILED',
      detail: expect.stringContaining('another name'),
    });
    expect(await get(server.address, { caFile, serverName: 'vault.example.org' })).toMatchObject({
      status: 200,
    });
  });

  it('reports a server certificate that has expired or is not valid yet', async () => {
    const names = ['127.0.0.1'];
    const past = new Date(Date.now() - 3_600_000);
    const future = new Date(Date.now() + 3_600_000);
    await using expired = await serveTls(authority.issue({ names, notAfter: past }));
    await using early = await serveTls(authority.issue({ names, notBefore: future }));
    expect(await get(expired.address, { caFile: expired.caFile })).toEqual({
      code: 'TLS_FAILED',
      detail: expect.stringContaining('expired'),
    });
    expect(await get(early.address, { caFile: early.caFile })).toEqual({
      code: 'TLS_FAILED',
      detail: expect.stringContaining('not valid yet'),
    });
  });

  it('sends a client certificate if the server asks for one', async () => {
    await using server = await serveTls({
      ...authority.issue({ names: ['127.0.0.1'] }),
      requestCert: true,
      ca: authority.ca,
    });
    const { caFile, folder } = server;
    const client = authority.issue();
    const [certFile, keyFile] = [join(folder, 'client.pem'), join(folder, 'client.key')];
    await writeFile(certFile, client.cert);
    await writeFile(keyFile, client.key);
    expect(await get(server.address, { caFile, certFile, keyFile })).toMatchObject({ status: 200 });
    expect(await get(server.address, { caFile })).toMatchObject({ code: 'TLS_FAILED' });
  });

  it.each([
    ['TLSv1.2', 'the TLS handshake failed'],
    ['TLSv1.3', 'the server requires a client certificate; set `tls.certFile` and `tls.keyFile`'],
  ] as const)('reports that the server requires a client certificate (%s)', async (version, detail) => {
    await using server = await serveTls({
      ...authority.issue({ names: ['127.0.0.1'] }),
      requestCert: true,
      ca: authority.ca,
      minVersion: version,
      maxVersion: version,
    });
    expect(await get(server.address, { caFile: server.caFile })).toEqual({ code: 'TLS_FAILED', detail });
  });

  it('sends on each new connection the client certificate that the file contains at that time', async () => {
    await using server = await serveTls({
      ...authority.issue({ names: ['127.0.0.1'] }),
      requestCert: true,
      ca: authority.ca,
    });
    const { caFile, folder, address } = server;
    const [certFile, keyFile] = [join(folder, 'client.pem'), join(folder, 'client.key')];
    const use = async ({ cert, key }: Issued) => {
      await writeFile(certFile, cert);
      await writeFile(keyFile, key);
      return new X509Certificate(cert).serialNumber;
    };
    const auth = { method: 'cert', certFile, keyFile };
    const config = VaultConfig.parse({ kind: 'vault', address, tls: { caFile }, auth });
    await using transport = createTransport(config, systemClock);
    const options = { method: 'GET', uri: `${address}/v1/x`, signal: new AbortController().signal };
    await expect(transport.send(options)).rejects.toMatchObject({
      code: 'CREDENTIAL_MISSING',
      detail: expect.stringContaining('client.'),
    });
    const first = await use(authority.issue());
    await transport.send(options);
    const second = await use(authority.issue());
    await transport.send(options); // This read still uses the existing connection.
    transport.reconnect();
    await transport.send(options);
    expect(server.shown).toEqual([first, first, second]);

    await writeFile(keyFile, authority.issue().key);
    transport.reconnect();
    await expect(transport.send(options)).rejects.toMatchObject({
      code: 'TLS_FAILED',
      detail: expect.stringContaining('its key'),
    });
    await writeFile(certFile, 'no certificate');
    await expect(transport.send(options)).rejects.toMatchObject({
      code: 'TLS_FAILED',
      detail: expect.stringContaining('PEM'),
    });
    await use(createAuthority().issue());
    await expect(transport.send(options)).rejects.toMatchObject({
      code: expect.stringMatching(/^(TLS_FAILED|STORE_UNAVAILABLE)$/),
    });
  });

  it('verifies server certificates even if environment variables turn this off', async () => {
    await using server = await serveTls(authority.issue({ names: ['127.0.0.1'] }));
    const before = { ...process.env };
    const warning = vi.spyOn(process, 'emitWarning').mockReturnValue(); // Node warns about NODE_TLS_REJECT_UNAUTHORIZED.
    Object.assign(process.env, { NODE_TLS_REJECT_UNAUTHORIZED: '0', VAULT_SKIP_VERIFY: 'true' });
    try {
      expect(await get(server.address)).toMatchObject({ code: 'TLS_FAILED' });
    } finally {
      warning.mockRestore();
      process.env = before;
    }
  });

  it('names a certificate file that cannot be read', async () => {
    expect(await get('https://localhost:1', { caFile: '/nowhere/ca.pem' })).toEqual({
      code: 'CONFIG_INVALID',
      detail: expect.stringContaining('/nowhere/ca.pem'),
    });
  });

  it('reports that a server does not use TLS', async () => {
    const server = createHttpServer();
    const port = await listen(server);
    expect(await get(`https://127.0.0.1:${port}`)).toEqual({
      code: 'TLS_FAILED',
      detail: expect.stringContaining('does not use TLS'),
    });
    server.close();
    await once(server, 'close');
  });
});

describe('a connection to Vault', () => {
  it('reports the server as unavailable if it refuses the connection or its host name cannot be resolved', async () => {
    expect(await get('http://127.0.0.1:1')).toEqual({
      code: 'STORE_UNAVAILABLE',
      detail: expect.stringContaining('refused'),
    });
    expect(await get('https://vault.invalid')).toEqual({
      code: 'STORE_UNAVAILABLE',
      detail: expect.stringContaining('DNS'),
    });
  });

  it('completes the running requests of a replaced connection, unless the store is closed before they end', async () => {
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<ServerResponse>();
    const server = createHttpServer((incoming, outgoing) => {
      if (incoming.url === '/v1/slow') arrive(outgoing);
      else if (incoming.url !== '/v1/never') outgoing.end('{}');
    });
    const port = await listen(server);
    const address = `http://127.0.0.1:${port}`;
    const auth = { method: 'token', token: { env: 'T' } };
    const transport = createTransport(VaultConfig.parse({ kind: 'vault', address, auth }), systemClock);
    const { signal } = new AbortController();
    const get = (path: string) => transport.send({ method: 'GET', uri: `${address}/v1/${path}`, signal });

    const slow = get('slow');
    const outgoing = await arrived;
    const never = expect(get('never')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    transport.reconnect();
    expect(await get('x')).toMatchObject({ status: 200 });
    outgoing.end('{}');
    expect(await slow).toMatchObject({ status: 200 });
    await transport[Symbol.asyncDispose]();
    await never;
    server.close();
    await once(server, 'close');
  });
});
