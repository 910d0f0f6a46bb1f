import { writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:https';
import { connect, createServer as createNetServer } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { createKubeClient, type KubeClientOptions } from '../../src/cluster/client.ts';
import { createAuthority } from '../fakes/certificates.ts';
import { collectGarbage } from '../fakes/collect-garbage.ts';
import { closeServer, listen } from '../fakes/loopback.ts';
import { type Answer, type ApiServer, json, kubeconfigText, startApiServer, status } from './api-server.ts';

const get = { method: 'GET', path: '/version' } as const;

function open(server: ApiServer, options: Partial<KubeClientOptions> = {}) {
  return createKubeClient({ kubeconfig: server.kubeconfig, env: {}, clock: { now: () => 0 }, ...options });
}

function withClock() {
  let now = 0;
  const clock = { now: () => now };
  return {
    clock,
    advance(ms: number) {
      now += ms;
    },
  };
}

const jwtPart = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const ENDED = `${jwtPart({ alg: 'none' })}.${jwtPart({ exp: 0 })}.s`;

const tokensSeen = (server: ApiServer) => server.seen.map(({ headers }) => headers.authorization);

describe('a request to a busy API server', () => {
  const busy = (retryAfter: string): Answer =>
    json(429, status(429, 'TooManyRequests'), { 'retry-after': retryAfter });
  const post = { method: 'POST', path: '/api/v1/namespaces/team/secrets', body: { kind: 'Secret' } } as const;

  async function answers(...all: readonly Answer[]) {
    const server = await startApiServer();
    const waits: number[] = [];
    let requests = 0;
    server.answer((request, response) => {
      const answer = all[Math.min(requests, all.length - 1)];
      requests += 1;
      answer?.(request, response);
    });
    const client = await open(server, { random: () => 0.5, wait: async (ms) => void waits.push(ms) });
    return { server, client, waits, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  }

  it('sends the request again unchanged after the delay that the API server asks for', async () => {
    await using server = await answers(busy('1'), busy('2'), json(201, {}));
    expect((await server.client.send(post)).status).toBe(201);
    expect(server.waits).toEqual([1_500, 2_500]);
    expect(new Set(server.server.seen.map(({ body }) => body))).toEqual(new Set(['{"kind":"Secret"}']));
  });

  it('sends the request at most three times, and then returns the last response', async () => {
    await using server = await answers(busy('1'));
    expect((await server.client.send(post)).status).toBe(429);
    expect(server.server.seen).toHaveLength(3);
  });

  it.each(['3', '3600', 'soon', '-1'])(
    'does not retry the request if the server answers with `Retry-After: %s`',
    async (retryAfter) => {
      await using server = await answers(busy(retryAfter), json(201, {}));
      expect((await server.client.send(post)).status).toBe(429);
      expect(server.waits).toEqual([]);
    },
  );

  it('does not retry the request after the caller cancels it', async () => {
    await using server = await startApiServer();
    server.answer(busy('1'));
    const called = new AbortController();
    await using client = await open(server, { wait: async () => called.abort() });
    await expect(client.send({ ...get, signal: called.signal })).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
      detail: 'cancelled before the API server answered',
    });
    expect(server.seen).toHaveLength(1);
  });
});

describe('connections', () => {
  it('sends many requests over few sockets and with constant memory', async () => {
    await using server = await startApiServer();
    await using client = await open(server);
    server.answer((_, response) => response.end('{}'));
    const atOnce = (n: number) => Promise.all(Array.from({ length: n }, () => client.send(get)));
    await atOnce(200);
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let round = 0; round < 20; round++) await atOnce(100);
    collectGarbage();
    expect(server.connections()).toBeLessThanOrEqual(32);
    // The list `seen` of the test server uses about 1 kB for each request. A client that creates an HTTP agent for each
    // request would use 27 kB.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(6_000_000);
  });

  it('closes the connections when the client is closed, and opens new connections for the next request', async () => {
    await using server = await startApiServer();
    const client = await open(server);
    server.answer((_, response) => response.end('{}'));
    await client.send(get);
    await client[Symbol.asyncDispose]();
    await expect(client.send(get)).resolves.toBeDefined();
    await client[Symbol.asyncDispose]();
  });
});

describe('an identity', () => {
  it.each([
    ['a token', { token: 'a-token' }, 'Bearer a-token'],
    [
      'a user name and a password',
      { username: 'ann', password: 'pass' },
      `Basic ${Buffer.from('ann:pass').toString('base64')}`,
    ],
  ])('logs in with %s of the kubeconfig', async (_, user, expected) => {
    await using server = await startApiServer(user);
    await using client = await open(server);
    server.answer(json(200, {}));
    await client.send(get);
    expect(tokensSeen(server)).toEqual([expected]);
  });

  const secondAlone: Answer = ({ headers }, response) => {
    response.writeHead(headers.authorization === 'Bearer second' ? 200 : 401).end('{}');
  };

  it.each([
    ['', { tokenFile: 'token' }],
    [' and takes precedence over an inline token', { tokenFile: 'token', token: 'ended' }],
  ])('uses the new content of the token file beside the kubeconfig%s', async (_, user) => {
    await using server = await startApiServer(user);
    const token = join(server.folder, 'token');
    await writeFile(token, 'first\n');
    const { clock, advance } = withClock();
    await using client = await open(server, { clock });
    server.answer(secondAlone);
    await writeFile(token, 'second\n');
    advance(60_000);
    expect((await client.send(get)).status).toBe(200);
    expect(tokensSeen(server).at(-1)).toBe('Bearer second');
  });

  it.each([
    ['in its file', { tokenFile: 'token' }],
    ['in the kubeconfig', { token: 'first' }],
  ])('uses the new token after the token was changed %s, even if the clock was set back', async (_, user) => {
    await using server = await startApiServer(user);
    const token = join(server.folder, 'token');
    await writeFile(token, 'first\n');
    const { clock, advance } = withClock();
    await using client = await open(server, { clock });
    server.answer(secondAlone);
    expect((await client.send(get)).status).toBe(401);
    await writeFile(token, 'second\n');
    if ('token' in user)
      await writeFile(server.kubeconfig, kubeconfigText({ server: server.address }, { token: 'second' }));
    advance(-86_400_000);
    expect((await client.send(get)).status).toBe(200);
  });

  it('loads the new token from the kubeconfig after a 401, and retries the request once', async () => {
    await using server = await startApiServer({ token: 'old' });
    const { clock, advance } = withClock();
    await using client = await open(server, { clock });
    server.answer(({ headers }, response) => {
      response.writeHead(headers.authorization === 'Bearer new' ? 200 : 401).end('{}');
    });
    expect((await client.send(get)).status).toBe(401);
    await writeFile(server.kubeconfig, kubeconfigText({ server: server.address }, { token: 'new' }));
    advance(10_000);
    const answers = await Promise.all(Array.from({ length: 5 }, () => client.send(get)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  });

  it.each([
    ['the current context is another one', 'y', 'x'],
    ['the context names another server', 'x', 'old'],
  ])(
    'sends no token of a different cluster to the API server if %s in the changed kubeconfig',
    async (_, current, kept) => {
      await using server = await startApiServer({ token: 'old' });
      const { clock, advance } = withClock();
      await using client = await open(server, { clock });
      server.answer((_, response) => response.writeHead(401).end());
      await client.send(get);
      const text = stringify({
        ...(parse(kubeconfigText({ server: 'https://other' }, { token: 'of another cluster' })) as object),
        contexts: [
          { name: current, context: { cluster: 'c', user: 'u' } },
          { name: kept, context: { cluster: 'mine', user: 'me' } },
        ],
        'current-context': current,
      });
      const { clusters, users, ...rest } = parse(text) as { clusters: object[]; users: object[] };
      await writeFile(
        server.kubeconfig,
        stringify({
          ...rest,
          clusters: [...clusters, { name: 'mine', cluster: { server: server.address } }],
          users: [...users, { name: 'me', user: { token: 'renewed' } }],
        }),
      );
      advance(10_000);
      await client.send(get);
      expect(tokensSeen(server)).not.toContain('Bearer of another');
      expect(tokensSeen(server).at(-1)).toBe(kept === 'x' ? 'Bearer renewed' : 'Bearer old');
    },
  );

  it('does not retry a request with an unchanged login while the server rejects that login', async () => {
    await using server = await startApiServer();
    await using client = await open(server);
    server.answer((_, response) => response.writeHead(401).end());
    for (let n = 0; n < 5; n++) expect((await client.send(get)).status).toBe(401);
    expect(server.seen).toHaveLength(5);
  });

  it('keeps the current login while the kubeconfig is only half written', async () => {
    await using server = await startApiServer();
    const { clock, advance } = withClock();
    await using client = await open(server, { clock });
    server.answer((_, response) => response.writeHead(401).end());
    await writeFile(server.kubeconfig, 'clusters: [');
    advance(10_000);
    expect((await client.send(get)).status).toBe(401);
  });

  it('logs in with a valid OIDC ID token of any issuer', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const idToken = `${part({ alg: 'none' })}.${part({ exp: 4_000_000_000 })}.s`;
    await using server = await startApiServer({
      'auth-provider': { name: 'oidc', config: { 'id-token': idToken } },
    });
    await using client = await open(server);
    server.answer(json(200, {}));
    await client.send(get);
    expect(tokensSeen(server)).toEqual([`Bearer ${idToken}`]);
  });

  // Like client-go, the program prefers the inline credentials.
  it.each([
    ['token', { token: 't' }, 'Bearer t'],
    ['password', { username: 'a', password: 'b' }, 'Basic YTpi'],
  ])('uses the inline %s even if the kubeconfig configures a second login', async (_, user, seen) => {
    await using server = await startApiServer({ ...user, 'auth-provider': { name: 'oidc', config: {} } });
    await using client = await open(server);
    server.answer(json(200, {}));
    await client.send(get);
    expect(tokensSeen(server)).toEqual([seen]);
  });

  it('uses the token of an auth provider, which kubectl supported before plugins', async () => {
    const config = { 'access-token': 'of-gcp', expiry: '2999-01-01T00:00:00Z' };
    await using server = await startApiServer({ 'auth-provider': { name: 'gcp', config } });
    await using client = await open(server);
    server.answer(json(200, {}));
    await client.send(get);
    expect(tokensSeen(server)).toEqual(['Bearer of-gcp']);
  });

  it.each([
    [
      'an id token of OIDC that has ended',
      { 'auth-provider': { name: 'oidc', config: { 'id-token': ENDED } } },
    ],
    ['a missing file', { tokenFile: 'token' }],
    ['a file that is empty', { tokenFile: 'empty' }],
  ])(
    'sends no anonymous request if the login is %s, and loads the kubeconfig again for the next request',
    async (_, user) => {
      await using server = await startApiServer(user);
      const { clock, advance } = withClock();
      await using client = await open(server, { clock });
      server.answer(json(200, {}));
      await writeFile(join(server.folder, 'empty'), '\n');
      const code = expect.stringMatching(/^(CLUSTER_FORBIDDEN|CREDENTIAL_MISSING)$/) as unknown;
      await expect(client.send(get)).rejects.toMatchObject({ code });
      await writeFile(server.kubeconfig, kubeconfigText({ server: server.address }, { token: 'new' }));
      advance(10_000);
      expect((await client.send(get)).status).toBe(200);
      expect(tokensSeen(server)).toEqual(['Bearer new']);
    },
  );

  it('impersonates the user, groups, uid and extra fields of the kubeconfig', async () => {
    const seen: unknown[] = [];
    await using server = await startApiServer({
      token: 't',
      as: 'bob',
      'as-uid': 'u-1',
      'as-groups': ['team:a', 'team:b'],
      'as-user-extra': { scopes: ['read', 'write'], 'example.com/50%': ['x'] },
    });
    await using client = await open(server);
    server.answer(({ headers }, response) => {
      seen.push(
        Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('impersonate'))),
      );
      response.end('{}');
    });
    await client.send(get);
    expect(seen).toEqual([
      {
        'impersonate-user': 'bob',
        'impersonate-uid': 'u-1',
        // Node joins repeated headers with a comma and a space.
        'impersonate-group': 'team:a, team:b',
        'impersonate-extra-scopes': 'read, write',
        'impersonate-extra-example.com%2f50%25': 'x',
      },
    ]);
  });

  it('rejects a token that contains a line break', async () => {
    await using server = await startApiServer({ tokenFile: 'token' });
    await writeFile(join(server.folder, 'token'), 's3cret\ns3cret\n');
    await using client = await open(server);
    const error: unknown = await client.send(get).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'CLUSTER_FORBIDDEN',
      detail: expect.stringContaining('line breaks'),
    });
    expect(String(error)).not.toContain('s3cret');
  });

  it('reports CREDENTIAL_MISSING with the file name if the client certificate file does not exist', async () => {
    await using server = await startApiServer({ 'client-certificate': 'gone.crt', 'client-key': 'gone.key' });
    await using client = await open(server);
    const file = join(server.folder, 'gone.crt');
    await expect(client.send(get)).rejects.toMatchObject({
      code: 'CREDENTIAL_MISSING',
      detail: `file ${file} cannot be read: ENOENT, no such file or folder`,
    });
  });

  const own = createAuthority('own');
  const [one, two] = [own.issue(), own.issue()];
  const data = (text: string) => Buffer.from(text).toString('base64');

  it.each([
    ['that belongs to another pair', two.key, 'the client certificate and its key do not match'],
    [
      'that is no PEM',
      'key',
      'the client certificate or its key is not valid PEM, or the key has a password',
    ],
  ])('rejects a client key %s, and advises the user to renew the certificate', async (_, key, detail) => {
    await using server = await startApiServer();
    const user = { 'client-certificate-data': data(one.cert), 'client-key-data': data(key) };
    await writeFile(server.kubeconfig, kubeconfigText({ server: 'https://127.0.0.1:1' }, user));
    await using client = await open(server);
    const remedy = expect.stringContaining('Renew the token or certificate') as unknown;
    await expect(client.send(get)).rejects.toMatchObject({ code: 'CLUSTER_FORBIDDEN', detail, remedy });
  });
});

describe('an API server that requires a client certificate', () => {
  it('reports that a client certificate is required, and sends requests after a certificate is added', async () => {
    const [own, clients] = [createAuthority('own'), createAuthority('clients')];
    const { cert, key } = clients.issue();
    const data = (text: string) => Buffer.from(text).toString('base64');
    const strict = { ca: clients.ca, requestCert: true, rejectUnauthorized: true };
    const https = createServer({ ...own.issue({ names: ['127.0.0.1'] }), ...strict }, (_, response) =>
      response.end('{}'),
    );
    const address = `https://127.0.0.1:${await listen(https)}`;
    await using server = await startApiServer();
    const write = (user: object) => {
      const cluster = { server: address, 'certificate-authority-data': data(own.ca) };
      return writeFile(server.kubeconfig, kubeconfigText(cluster, user));
    };
    await write({ token: 't' });
    const { clock, advance } = withClock();
    try {
      await using client = await open(server, { clock });
      const asks = { code: 'CLUSTER_FORBIDDEN', detail: 'the API server requires a client certificate' };
      for (let n = 0; n < 5; n++) await expect(client.send(get)).rejects.toMatchObject(asks);
      await write({ 'client-certificate-data': data(cert), 'client-key-data': data(key) });
      advance(10_000);
      expect((await client.send(get)).status).toBe(200);
    } finally {
      await closeServer(https);
    }
  });

  // The numbers are TLS alerts (RFC 8446, section 6.2).
  it.each([
    ['has ended', 45],
    ['is signed by an unknown CA', 48],
  ])('reports that the API server rejects a client certificate that %s', async (_, alert) => {
    const tls = createNetServer((socket) => socket.end(Buffer.of(0x15, 3, 3, 0, 2, 2, alert)));
    await using server = await startApiServer();
    const address = `https://127.0.0.1:${await listen(tls)}`;
    await writeFile(server.kubeconfig, kubeconfigText({ server: address }, { token: 't' }));
    await using client = await open(server);
    await expect(client.send(get)).rejects.toMatchObject({
      code: 'CLUSTER_FORBIDDEN',
      detail: 'the API server does not accept our client certificate',
    });
    tls.close();
  });
});

describe('the certificate authorities of a cluster', () => {
  const [own, other] = [createAuthority('own'), createAuthority('other')];
  const data = (text: string) => Buffer.from(text).toString('base64');

  async function requestWith(cluster: object): Promise<unknown> {
    const https = createServer(own.issue({ names: ['127.0.0.1'] }), (_, response) => response.end('{}'));
    const address = `https://127.0.0.1:${await listen(https)}`;
    await using server = await startApiServer();
    await writeFile(server.kubeconfig, kubeconfigText({ server: address, ...cluster }, { token: 't' }));
    await writeFile(join(server.folder, 'other.pem'), other.ca);
    try {
      await using client = await open(server);
      return (await client.send(get)).status;
    } catch (error) {
      return error;
    } finally {
      await closeServer(https);
    }
  }

  it.each([
    ['are inline, besides a configured file', { 'certificate-authority': 'other.pem' }],
    ['are inline, and the file is missing', { 'certificate-authority': 'gone.pem' }],
  ])('trusts the certificate authorities if they %s', async (_, cluster) => {
    expect(await requestWith({ ...cluster, 'certificate-authority-data': data(own.ca) })).toBe(200);
  });

  it('trusts a list of several authorities, with comments and Windows line ends', async () => {
    const bundle = `# ours\n${other.ca}\n# and its own\n${own.ca}`.replaceAll('\n', '\r\n');
    expect(await requestWith({ 'certificate-authority-data': data(bundle) })).toBe(200);
  });

  it('loads the authorities again without a restart if the kubeconfig changes', async () => {
    const https = createServer(own.issue({ names: ['127.0.0.1'] }), (_, response) => response.end('{}'));
    const address = `https://127.0.0.1:${await listen(https)}`;
    await using server = await startApiServer();
    const write = (ca: string) => {
      const cluster = { server: address, 'certificate-authority-data': data(ca) };
      return writeFile(server.kubeconfig, kubeconfigText(cluster, { token: 't' }));
    };
    await write(other.ca);
    const { clock, advance } = withClock();
    try {
      await using client = await open(server, { clock });
      const untrusted = { code: 'CLUSTER_UNAVAILABLE', detail: expect.stringMatching(/^TLS: /) as unknown };
      await expect(client.send(get)).rejects.toMatchObject(untrusted);
      await write(own.ca);
      advance(10_000);
      expect((await client.send(get)).status).toBe(200);
    } finally {
      await closeServer(https);
    }
  });

  it.each([
    [
      { 'certificate-authority-data': data('text') },
      /^its `certificate-authority-data` holds no certificates/,
    ],
    [{ 'certificate-authority': '.' }, /: it is a folder, not a regular file$/],
    [{ 'certificate-authority': 'gone.pem' }, /gone\.pem cannot be read: ENOENT/],
    [{ 'certificate-authority': 'kubeconfig' }, /contains no PEM certificates$/],
  ])('reports invalid certificate authorities: %j', async (cluster, detail) => {
    expect(await requestWith(cluster)).toMatchObject({
      code: 'CREDENTIAL_MISSING',
      subject: 'kubeconfig cluster c',
      detail: expect.stringMatching(detail) as unknown,
    });
  });
});

describe('a proxy', () => {
  async function through(connected: (socket: Duplex) => void): Promise<unknown> {
    const proxy = createHttpServer().on('connect', (_, socket) => connected(socket));
    const port = await listen(proxy);
    await using server = await startApiServer();
    const cluster = { server: 'https://api.example', 'proxy-url': `http://ann:pass@127.0.0.1:${port}` };
    await writeFile(server.kubeconfig, kubeconfigText(cluster, { token: 't' }));
    try {
      await using client = await open(server);
      const error: unknown = await client.send(get).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        code: 'CLUSTER_UNAVAILABLE',
        subject: `https://api.example through http://127.0.0.1:${port}`,
      });
      return error;
    } finally {
      await closeServer(proxy);
    }
  }

  it.each([
    ['', 'localhost', 'localhost'],
    [' and gets the server name from the kubeconfig', 'localhost', 'api.example'],
    [' by its address', '127.0.0.1', '127.0.0.1'],
  ])('verifies the certificate of a server behind a proxy%s', async (_, host, name) => {
    const own = createAuthority('own');
    const names: unknown[] = [];
    const https = createServer({ ...own.issue({ names: [name] }) }, ({ socket }, response) => {
      names.push((socket as TLSSocket & { servername: unknown }).servername);
      response.end('{}');
    });
    const port = await listen(https);
    const seenRequests: unknown[] = [];
    const proxy = createHttpServer().on('connect', ({ url, headers }, socket: Duplex) => {
      seenRequests.push([url, headers['proxy-authorization'], headers.authorization]);
      const upstream = connect(port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
      upstream.pipe(socket).pipe(upstream);
    });
    const address = `http://ann:pass@127.0.0.1:${await listen(proxy)}`;
    await using server = await startApiServer();
    const cluster = {
      server: `https://${host}:${port}`,
      'proxy-url': address,
      'certificate-authority-data': Buffer.from(own.ca).toString('base64'),
      ...(host === name ? {} : { 'tls-server-name': name }),
    };
    await writeFile(server.kubeconfig, kubeconfigText(cluster, { token: 't' }));
    try {
      await using client = await open(server);
      expect((await client.send(get)).status).toBe(200);
    } finally {
      await Promise.all([closeServer(proxy), closeServer(https)]);
    }
    expect(names).toEqual([name === '127.0.0.1' ? false : name]);
    expect(seenRequests).toEqual([
      [`${host}:${port}`, `Basic ${Buffer.from('ann:pass').toString('base64')}`, undefined],
    ]);
  });

  it('reports that the server behind a proxy requires a client certificate', async () => {
    const [own, clients] = [createAuthority('own'), createAuthority('clients')];
    const strict = { ca: clients.ca, requestCert: true, rejectUnauthorized: true };
    const https = createServer({ ...own.issue({ names: ['127.0.0.1'] }), ...strict });
    const port = await listen(https);
    const proxy = createHttpServer().on('connect', (_, socket: Duplex) => {
      const upstream = connect(port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
      upstream.pipe(socket).pipe(upstream);
    });
    await using server = await startApiServer();
    const cluster = {
      server: `https://127.0.0.1:${port}`,
      'proxy-url': `http://127.0.0.1:${await listen(proxy)}`,
      'certificate-authority-data': Buffer.from(own.ca).toString('base64'),
    };
    await writeFile(server.kubeconfig, kubeconfigText(cluster, { token: 't' }));
    try {
      await using client = await open(server);
      const asks = { code: 'CLUSTER_FORBIDDEN', detail: 'the API server requires a client certificate' };
      for (let n = 0; n < 5; n++) await expect(client.send(get)).rejects.toMatchObject(asks);
    } finally {
      await Promise.all([closeServer(proxy), closeServer(https)]);
    }
  });

  it('reports that the proxy refused the connection', async () => {
    const error = await through((socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'));
    expect(error).toHaveProperty('detail', 'the proxy refused the connection with status 407');
  });

  it('reports that the proxy refused a plain http request', async () => {
    const proxy = createHttpServer((_, response) => response.writeHead(407).end());
    await using server = await startApiServer();
    const cluster = { server: server.address, 'proxy-url': `http://127.0.0.1:${await listen(proxy)}` };
    await writeFile(server.kubeconfig, kubeconfigText(cluster, { token: 't' }));
    try {
      await using client = await open(server);
      await expect(client.send(get)).rejects.toMatchObject({
        code: 'CLUSTER_UNAVAILABLE',
        detail: 'the proxy refused the connection with status 407',
      });
    } finally {
      await closeServer(proxy);
    }
  });

  it('reports that the proxy closed the connection', async () => {
    const error = await through((socket) => socket.destroy());
    expect(error).toHaveProperty('detail', 'the proxy closed the connection');
  });
});

describe('the address of an API server', () => {
  it('keeps the path of the address, and shows the address without credentials', async () => {
    await using server = await startApiServer();
    const cluster = { server: `${server.address.replace('//', '//ann:pass@')}/k8s/clusters/c-1/` };
    await writeFile(server.kubeconfig, kubeconfigText(cluster, {}));
    await using client = await open(server);
    expect(client.address).toBe(`${server.address}/k8s/clusters/c-1`);
    server.answer(json(200, {}));
    await client.send(get);
    expect(server.seen[0]?.url).toBe('/k8s/clusters/c-1/version');
  });
});
