import { once } from 'node:events';
import {
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import { createServer as createHttp1Server } from 'node:https';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import type { Connection } from '../../src/cluster/pool.ts';
import { createStreamPool, type StreamPool, type StreamResponse } from '../../src/cluster/streams.ts';
import { createAuthority } from '../fakes/certificates.ts';
import { listen } from '../fakes/loopback.ts';

const authority = createAuthority();
const issued = authority.issue({ names: ['127.0.0.1'] });
const trusted: Connection = { ca: authority.ca };

/** A server that answers each request with a line, and keeps the response open. */
async function startServer(maxConcurrentStreams = 100) {
  const sessions: ServerHttp2Session[] = [];
  const sockets: Socket[] = [];
  const responses: Http2ServerResponse[] = [];
  const requests: Http2ServerRequest[] = [];
  const server = createSecureServer(
    { ...issued, settings: { maxConcurrentStreams } },
    (request, response) => {
      requests.push(request);
      responses.push(response);
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('first\n');
    },
  );
  server.on('connection', (socket: Socket) => sockets.push(socket.on('error', () => undefined)));
  server.on('session', (session) => {
    sessions.push(session);
    session.on('error', () => undefined);
  });
  const origin = `https://127.0.0.1:${await listen(server)}`;
  return {
    origin,
    sessions,
    sockets,
    responses,
    requests,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Opens a stream and reads its first line. */
async function openStream(pool: StreamPool, origin: string, connection = trusted, path = '/watch') {
  const end = new AbortController();
  const request = { url: origin + path, headers: { Authorization: 'Bearer t' }, signal: end.signal };
  const response = await pool.open(connection, request);
  const lines = linesOf(response);
  expect(await lines.next()).toEqual({ done: false, value: 'first\n' });
  return { response, lines, end: () => end.abort() };
}

async function* linesOf({ body }: StreamResponse): AsyncGenerator<string> {
  for await (const chunk of body) yield Buffer.from(chunk).toString();
}

it.each([
  [250, 3],
  [100, 3],
  [50, 6],
])('250 streams share few connections if the server allows %i streams on each', async (allowed, expected) => {
  await using server = await startServer(allowed);
  const pool = createStreamPool();
  const streams = await Promise.all(Array.from({ length: 250 }, () => openStream(pool, server.origin)));
  expect(server.sessions.length).toBe(expected);
  // An ended stream makes room for another one.
  streams[0]?.end();
  await expect(streams[0]?.lines.next()).rejects.toThrow();
  streams[0] = await openStream(pool, server.origin);
  expect(server.sessions.length).toBe(expected);
  for (const { end } of streams) end();
  await pool[Symbol.asyncDispose]();
});

it('sends the path, the query and all values of a header', async () => {
  await using server = await startServer();
  const pool = createStreamPool();
  const end = new AbortController();
  const headers = { Authorization: 'Bearer t', 'Impersonate-Group': ['a', 'b'] };
  const url = `${server.origin}/k8s/api?watch=true&fieldSelector=metadata.name%3Da`;
  await pool.open(trusted, { url, headers, signal: end.signal });
  expect(server.requests[0]?.url).toBe('/k8s/api?watch=true&fieldSelector=metadata.name%3Da');
  expect(server.requests[0]?.headers).toMatchObject({
    authorization: 'Bearer t',
    'impersonate-group': 'a, b',
  });
  end.abort();
  await pool[Symbol.asyncDispose]();
});

it('a server that ends a connection (GOAWAY) keeps its streams, and new streams use a new connection', async () => {
  await using server = await startServer();
  const pool = createStreamPool();
  const old = await openStream(pool, server.origin);
  const [session] = server.sessions;
  session?.goaway();
  // A ping after the GOAWAY shows that the client has received it.
  await new Promise((resolve) => session?.ping(resolve));
  const next = await openStream(pool, server.origin);
  expect(server.sessions.length).toBe(2);
  server.responses[0]?.write('second\n');
  expect(await old.lines.next()).toEqual({ done: false, value: 'second\n' });
  server.responses[0]?.end();
  expect(await old.lines.next()).toMatchObject({ done: true });
  if (session?.closed === false) await once(session, 'close');
  next.end();
  await pool[Symbol.asyncDispose]();
});

it.each(['destroy', 'resetAndDestroy'] as const)(
  'a broken connection (%s) fails its streams, and the next stream opens a new connection',
  async (breakSocket) => {
    await using server = await startServer();
    const pool = createStreamPool();
    const streams = [await openStream(pool, server.origin), await openStream(pool, server.origin)];
    server.sockets[0]?.[breakSocket]();
    for (const { lines } of streams) await expect(lines.next()).rejects.toMatchObject({ code: 'ECONNRESET' });
    const next = await openStream(pool, server.origin);
    expect(server.sessions.length).toBe(2);
    next.end();
    await pool[Symbol.asyncDispose]();
  },
);

it('a connection that answers no ping fails its streams', async () => {
  await using server = await startServer();
  const pool = createStreamPool({ pingMs: 50 });
  let stall = () => {};
  const proxy = createTcpServer((client) => {
    const upstream = connect(Number(new URL(server.origin).port), '127.0.0.1');
    stall = () => void client.unpipe(upstream);
    client.pipe(upstream).pipe(client);
    client.on('close', () => upstream.destroy());
  });
  const { lines } = await openStream(pool, `https://127.0.0.1:${await listen(proxy)}`);
  stall();
  await expect(lines.next()).rejects.toMatchObject({ code: 'ECONNRESET' });
  await pool[Symbol.asyncDispose]();
  proxy.close();
});

it('an aborted stream leaves the other streams of its connection open', async () => {
  await using server = await startServer();
  const pool = createStreamPool();
  const [first, second] = [await openStream(pool, server.origin), await openStream(pool, server.origin)];
  first.end();
  await expect(first.lines.next()).rejects.toThrow();
  server.responses[1]?.write('second\n');
  expect(await second.lines.next()).toEqual({ done: false, value: 'second\n' });
  const late = new AbortController();
  const reason = new Error('late');
  late.abort(reason);
  const request = { url: server.origin, headers: {}, signal: late.signal };
  await expect(pool.open(trusted, request)).rejects.toBe(reason);
  second.end();
  await pool[Symbol.asyncDispose]();
});

it('a changed certificate opens a new connection, and open streams continue', async () => {
  await using server = await startServer();
  const pool = createStreamPool();
  const old = await openStream(pool, server.origin);
  const client = authority.issue();
  const next = await openStream(pool, server.origin, { ...trusted, ...client });
  expect(server.sessions.length).toBe(2);
  server.responses[0]?.write('second\n');
  expect(await old.lines.next()).toEqual({ done: false, value: 'second\n' });
  old.end();
  next.end();
  await pool[Symbol.asyncDispose]();
});

it('a server that speaks only HTTP/1.1 gets one connection for each stream', async () => {
  let connections = 0;
  const server = createHttp1Server(issued, (_, response) => void response.writeHead(200).write('first\n'));
  server.on('connection', () => {
    connections += 1;
  });
  const origin = `https://127.0.0.1:${await listen(server)}`;
  const pool = createStreamPool();
  const streams = await Promise.all(Array.from({ length: 5 }, () => openStream(pool, origin)));
  // One more connection showed that the server chooses HTTP/1.1.
  expect(connections).toBe(6);
  for (const { end } of streams) end();
  await pool[Symbol.asyncDispose]();
  server.closeAllConnections();
  server.close();
});

it('a server with an unknown certificate fails all waiting streams with the TLS error', async () => {
  await using server = await startServer();
  const pool = createStreamPool();
  const other = { ca: createAuthority('other').ca };
  const streams = [1, 2].map(() => openStream(pool, server.origin, other));
  for (const result of await Promise.allSettled(streams)) {
    expect(result).toMatchObject({ reason: { code: expect.stringMatching(/UNABLE_TO_|CERT/) as unknown } });
  }
  await pool[Symbol.asyncDispose]();
});
