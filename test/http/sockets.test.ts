import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import type { StartTimer } from '../../src/core/timer.ts';
import { bare } from '../audit/sample.ts';
import { createAuthority, type Issued } from '../fakes/certificates.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { startTestServer, TOKENS } from './harness.ts';

const ANY = '127.0.0.1:0';
const JSON_TYPE = 'content-type: application/json\r\n';
const HEADERS = `host: x\r\nauthorization: Bearer ${TOKENS.operator}\r\n`;

async function open(url: string, localAddress?: string): Promise<Socket> {
  const { hostname: host, port } = new URL(url);
  const socket = connect({
    host,
    port: Number(port),
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  await once(socket, 'connect');
  return socket;
}

/** Returns all text received until the connection closes. */
async function rest(socket: Socket | TLSSocket): Promise<string> {
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  socket.on('error', () => undefined);
  if (!socket.closed) await once(socket, 'close');
  return Buffer.concat(parts).toString();
}

describe('a connection to the HTTP server', () => {
  it.each([
    ['with incomplete headers', 'GET /livez HTTP/1.1\r\nhost: x\r\nx-a: ', 408],
    [
      'without its body',
      `POST /api/v1/mappings/db/sync HTTP/1.1\r\n${HEADERS}${JSON_TYPE}content-length: 9\r\n\r\n{`,
      408,
    ],
    ['with another protocol', 'EHLO example\r\n\r\n', 400],
    ['with oversized headers', `GET /livez HTTP/1.1\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    [
      'with two body lengths',
      `POST /livez HTTP/1.1\r\n${HEADERS}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`,
      400,
    ],
  ])('a connection gets a response and is closed after a request %s', async (_, text, status) => {
    // Use a long timeout for the cases that do not test a timeout, because a busy machine may take more than 50 ms to
    // read the text.
    const ms = status === 408 ? 50 : 10_000;
    await using api = await startTestServer({}, { headersMs: ms, requestMs: ms });
    const socket = await open(await api.server.listen(ANY));
    socket.write(text);
    const answer = await rest(socket);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    expect(JSON.parse(body)).toMatchObject({ code: 'INVALID_REQUEST', requestId: expect.any(String) });
    expect(head).toContain(`content-length: ${Buffer.byteLength(body)}`);
    expect(answer).not.toContain(TOKENS.operator);
  });

  it('a connection gets one response and is closed if its request is rejected before the body arrives', async () => {
    await using api = await startTestServer({}, { headersMs: 50, requestMs: 50 });
    const socket = await open(await api.server.listen(ANY));
    socket.write(
      `POST /api/v1/mappings/db/sync HTTP/1.1\r\nhost: x\r\n${JSON_TYPE}content-length: 9\r\n\r\n{`,
    );
    const answer = await rest(socket);
    expect(answer.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 401']);
  });

  it('a connection is exempt from the idle timeout while the client waits for a verification of the audit log', async () => {
    const audit = createMemoryAudit();
    await audit.append([bare(), bare()]);
    const slow = {
      ...audit,
      async *storedRecords(from: number) {
        for await (const record of audit.storedRecords(from)) {
          await sleep(600);
          yield record;
        }
      },
    };
    await using api = await startTestServer({ audit: slow }, { silenceMs: 500 });
    const socket = await open(await api.server.listen(ANY));
    const answered = once(socket, 'data');
    socket.write(`GET /api/v1/audit/verify HTTP/1.1\r\n${HEADERS}\r\n`);
    const [answer] = (await answered) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 200 [\s\S]*"ok":true,"records":2,/);
    const hanging = { status: () => new Promise<never>(() => undefined) };
    await using other = await startTestServer({ service: hanging }, { silenceMs: 100 });
    const cut = await open(await other.server.listen(ANY));
    cut.write(`GET /api/v1/status HTTP/1.1\r\n${HEADERS}\r\n`);
    expect(await rest(cut)).toBe('');
  });

  it('a connection stays open after the rejection of a request without a body', async () => {
    await using api = await startTestServer();
    const socket = await open(await api.server.listen(ANY));
    const answers: string[] = [];
    for (let count = 0; count < 2; count += 1) {
      socket.write('GET /api/v1/status HTTP/1.1\r\nhost: x\r\n\r\n');
      const [part] = (await once(socket, 'data')) as [Buffer];
      answers.push(part.toString());
    }
    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1.1 401 [\s\S]*^connection: keep-alive/im);
  });

  it.each([
    ['with a token', '/api/v1/mappings/db/sync'],
    ['for an event', '/events/webhook/ci'],
  ])(
    'a connection causes no error in the log if the client sends a request %s and closes the connection before the end of the body',
    async (_, path) => {
      await using api = await startTestServer();
      const socket = await open(await api.server.listen(ANY));
      const { server } = api.server.app;
      const request = once(server, 'request') as Promise<[IncomingMessage]>;
      socket.write(`POST ${path} HTTP/1.1\r\n${HEADERS}${JSON_TYPE}content-length: 9\r\n\r\n{`);
      const [incoming] = await request;
      const closed = once(incoming, 'close').then(undefined, () => undefined);
      socket.destroy();
      await closed;
      // Allows time for the framework to handle the closed connection.
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
      expect(api.log.filter(({ level }) => level !== 'debug')).toEqual([]);
    },
  );

  it.each([
    ['without a Host header', 'GET /livez HTTP/1.1\r\n\r\n', 400],
    ['with an Expect header', 'POST /livez HTTP/1.1\r\nhost: x\r\nexpect: it\r\n\r\n', 417],
  ])('a connection gets the common error format for a request %s', async (_, text, status) => {
    await using api = await startTestServer();
    const socket = await open(await api.server.listen(ANY));
    socket.end(text);
    const [head = '', body = ''] = (await rest(socket)).split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    const { requestId, ...error } = JSON.parse(body) as { requestId: string };
    expect(error).toMatchObject({ code: 'INVALID_REQUEST', remedy: expect.any(String) });
    expect(head).toContain(`x-request-id: ${requestId}`);
  });

  it('requests without a Host header count toward the rate limit', async () => {
    await using api = await startTestServer({}, { requests: 3 });
    const socket = await open(await api.server.listen(ANY));
    const statuses: (string | undefined)[] = [];
    for (let count = 0; count < 5; count += 1) {
      socket.write('GET /api/v1/status HTTP/1.1\r\n\r\n');
      const [part] = (await once(socket, 'data')) as [Buffer];
      statuses.push(/^HTTP\/1.1 (\d+)/.exec(part.toString())?.[1]);
    }
    expect(statuses).toEqual(['400', '400', '400', '429', '429']);
  });

  it('a connection is closed if the client sends nothing', async () => {
    await using api = await startTestServer({}, { headersMs: 50, requestMs: 50 });
    const socket = await open(await api.server.listen(ANY));
    await rest(socket);
  });
});

describe('the connection limits', () => {
  const PROBE = 'GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';
  const probe = async (socket: Socket): Promise<string> => {
    socket.write(PROBE);
    return rest(socket);
  };
  const OK = /^HTTP\/1.1 200 /;

  it.each([
    ['address', { connections: 9, connectionsPerAddress: 3 }],
    ['server', { connections: 3, connectionsPerAddress: 9 }],
  ])('beyond the limit of the %s, a new connection replaces the oldest idle one', async (_, limits) => {
    await using api = await startTestServer({}, limits);
    const url = await api.server.listen(ANY);
    const [first, second, third] = [await open(url), await open(url), await open(url)];
    const fourth = await open(url);
    expect(await rest(first)).toBe('');
    for (const socket of [fourth, third, second]) expect(await probe(socket)).toMatch(OK);
  });

  it('the limit per address does not affect other addresses', async () => {
    await using api = await startTestServer({}, { connections: 9, connectionsPerAddress: 2 });
    const url = await api.server.listen(ANY);
    const other = await open(url, '127.0.0.2');
    for (let count = 0; count < 6; count += 1) await open(url);
    expect(await probe(other)).toMatch(OK);
  });

  it('a new connection replaces one with an incomplete request, but none that waits for a response', async () => {
    const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const notReady = async () => {
      begun.resolve();
      await go.promise;
      return undefined;
    };
    await using api = await startTestServer({ service: { notReady } }, { connectionsPerAddress: 2 });
    const url = await api.server.listen(ANY);
    const waiting = await open(url);
    waiting.write('GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    await begun.promise;
    const slow = await open(url);
    const requested = once(api.server.app.server, 'request');
    slow.write('POST /events/webhook/ci HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{');
    await requested;
    expect(await probe(await open(url))).toMatch(OK);
    expect(await rest(slow)).toBe('');
    go.resolve();
    expect(await rest(waiting)).toMatch(OK);
  });
});

describe('closing the server', () => {
  it('closing the server closes idle connections immediately', async () => {
    await using api = await startTestServer();
    const url = await api.server.listen(ANY);
    const [silent, idle] = [await open(url), await open(url)];
    idle.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(idle, 'data');
    await Promise.all([rest(silent), rest(idle), api.server.close(3_600_000)]);
    await expect(open(url)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('closing the server waits for active requests, and then closes their connections', async () => {
    const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const notReady = async () => {
      begun.resolve();
      await go.promise;
      return undefined;
    };
    await using api = await startTestServer({ service: { notReady } });
    const socket = await open(await api.server.listen(ANY));
    socket.write('GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n');
    await begun.promise;
    const closed = api.server.close(3_600_000);
    go.resolve();
    expect(await rest(socket)).toContain('{"ok":true}');
    await closed;
  });

  it('closing the server waits no longer than the grace period for active requests', async () => {
    const time = createManualTime();
    const begun = Promise.withResolvers<void>();
    const notReady = () => {
      begun.resolve();
      return new Promise<undefined>(() => undefined);
    };
    await using api = await startTestServer({ service: { notReady }, wake: time.wake });
    const socket = await open(await api.server.listen(ANY));
    socket.write('GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n');
    await begun.promise;
    const closed = api.server.close(5_000);
    expect(time.waiting).toEqual([5_000]);
    await time.advance(5_000);
    await Promise.all([closed, rest(socket)]);
    expect(time.waiting).toEqual([]);
  });

  it('the server can be closed before it listens, and more than once', async () => {
    const api = await startTestServer();
    await api.server.close(1_000);
    await api.server.close(1_000);
  });
});

describe('the listen address', () => {
  it('an address that is already in use causes an error that contains this address', async () => {
    await using first = await startTestServer();
    await using second = await startTestServer();
    const { host } = new URL(await first.server.listen(ANY));
    await expect(second.server.listen(host)).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: expect.stringContaining(host),
    });
  });

  it.each(['nothing', '127.0.0.1', '127.0.0.1:99999', '192.0.2.1:0', '[fe80::1]:0'])(
    'the listen address is rejected if it is %s',
    async (address) => {
      await using api = await startTestServer();
      await expect(api.server.listen(address)).rejects.toMatchObject({ code: 'LISTEN_FAILED' });
    },
  );

  it('the listen address can be IPv6 or a host name', async () => {
    for (const address of ['[::1]:0', 'localhost:0']) {
      await using api = await startTestServer();
      expect((await fetch(`${await api.server.listen(address)}/livez`)).status).toBe(200);
    }
  });
});

describe('a server with TLS', () => {
  const authority = createAuthority();

  async function openTls(issued: Issued, options: { wake?: StartTimer } = {}) {
    const folder = await mkdtemp(join(tmpdir(), 'secretbridge-http-'));
    const files = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
    const write = async ({ cert, key }: Partial<Issued>) => {
      if (cert !== undefined) await writeFile(files.certFile, cert);
      if (key !== undefined) await writeFile(files.keyFile, key);
    };
    await write(issued);
    const api = await startTestServer({ config: { tls: files, metricsNeedToken: false }, ...options });
    const { port } = new URL(await api.server.listen(ANY));
    return {
      bench: api,
      write,
      port: Number(port),
      /** Sends one request on a new TLS connection. */
      async ask(maxVersion: 'TLSv1.1' | 'TLSv1.3' = 'TLSv1.3') {
        const socket = connectTls({
          port: Number(port),
          host: '127.0.0.1',
          ca: authority.ca,
          minVersion: 'TLSv1',
          maxVersion,
        });
        await once(socket, 'secureConnect');
        const { serialNumber } = socket.getPeerCertificate();
        socket.write('GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
        return { serialNumber, answer: await rest(socket) };
      },
      async [Symbol.asyncDispose]() {
        await api[Symbol.asyncDispose]();
        await rm(folder, { recursive: true });
      },
    };
  }

  const issue = () => authority.issue({ names: ['127.0.0.1'] });

  it('a server with TLS sends an HSTS header', async () => {
    await using world = await openTls(issue());
    const { answer } = await world.ask();
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    expect(answer).toMatch(/strict-transport-security: max-age=\d+/i);
  });

  it('a server with TLS rejects plain text and old TLS versions', async () => {
    await using world = await openTls(issue());
    const plain = connect(world.port, '127.0.0.1');
    plain.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n');
    expect(await rest(plain)).not.toContain('200');
    await expect(world.ask('TLSv1.1')).rejects.toThrow();
  });

  it('a server with TLS uses a renewed certificate without a restart, and never a half-written pair of files', async () => {
    const time = createManualTime();
    const [old, renewed] = [issue(), issue()];
    await using world = await openTls(old, time);
    const look = async () => {
      await time.advance(30_000);
      await expect.poll(() => time.waiting).toEqual([30_000]);
    };
    const before = (await world.ask()).serialNumber;
    await world.write({ cert: renewed.cert });
    await look();
    expect((await world.ask()).serialNumber).toBe(before);
    expect(world.bench.log).toContainEqual(expect.objectContaining({ message: 'certificate reload failed' }));
    await world.write({ key: renewed.key });
    await look();
    expect((await world.ask()).serialNumber).not.toBe(before);
    await world.bench.server.close(0);
    expect(time.waiting).toEqual([]);
  });

  it('a server with TLS closes even if a handshake is unfinished', async () => {
    await using world = await openTls(issue());
    const socket = connect(world.port, '127.0.0.1');
    await once(socket, 'connect');
    await Promise.all([rest(socket), world.bench.server.close(3_600_000)]);
  });

  it('a server with TLS fails to start with an unusable certificate', async () => {
    const other = issue();
    await expect(openTls({ ...issue(), key: other.key })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    const tls = { certFile: '/nowhere/tls.crt', keyFile: '/nowhere/tls.key' };
    await expect(startTestServer({ config: { tls, metricsNeedToken: false } })).rejects.toMatchObject({
      code: 'CREDENTIAL_MISSING',
    });
  });
});
