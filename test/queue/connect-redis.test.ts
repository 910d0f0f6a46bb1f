import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';
import { connectRedis } from '../../src/queue/connect-redis.ts';
import type { RedisAddress } from '../../src/queue/redis-address.ts';
import { listen } from '../fakes/loopback.ts';
import { waitUntil } from '../wait-until.ts';

/** Starts a server that accepts connections and never replies. */
async function startSilent() {
  const server = createServer();
  const port = await listen(server);
  return {
    url: SecretValue.fromText(`redis://127.0.0.1:${port}`),
    connected: () => once(server, 'connection'),
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

/** Starts a server that answers each command with one line. */
async function answering(answer: (command: string) => string) {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      // Each command is a list of texts: its name, then its arguments.
      for (const [, name = ''] of data.toString().matchAll(/\*\d+\r\n\$\d+\r\n([A-Za-z]+)\r\n/g)) {
        const command = name.toUpperCase();
        if (command === 'INFO') socket.write('$13\r\nrole:master\r\n\r\n');
        else if (command === 'HELLO') socket.write('-NOPROTO unsupported protocol version\r\n');
        else socket.write(`${answer(command)}\r\n`);
      }
    });
  });
  const port = await listen(server);
  return {
    url: SecretValue.fromText(`redis://127.0.0.1:${port}`),
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

/**
 * Starts a server that acts as a Redis master and as its own sentinel. `subscribed` contains the connections that
 * subscribed to the sentinel.
 */
async function listenAsSentinel() {
  const subscribed: Socket[] = [];
  const held: (() => void)[] = [];
  let holds = false;
  const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;
  const answer = (socket: Socket, [name = '', what]: readonly string[]): string => {
    if (name === 'INFO') return bulk('role:master\r\n');
    if (name === 'HELLO') return '-NOPROTO unsupported protocol version\r\n';
    if (name === 'SENTINEL')
      return what === 'get-master-addr-by-name'
        ? `*2\r\n${bulk('127.0.0.1')}${bulk(String(port))}`
        : '*0\r\n';
    if (name !== 'SUBSCRIBE') return '+OK\r\n';
    subscribed.push(socket);
    // Refuses later subscriptions, like a sentinel that restarted with another password.
    if (subscribed.length > 1) return '-NOAUTH Authentication required.\r\n';
    return `*3\r\n${bulk('subscribe')}${bulk('+switch-master')}:1\r\n`;
  };
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      for (const command of data.toString().split(/(?=\*\d+\r\n\$\d+\r\n[A-Za-z])/)) {
        const words = [...command.matchAll(/\$\d+\r\n(.*?)\r\n/g)].map(([, word = '']) => word);
        const say = () => socket.write(answer(socket, [words[0]?.toUpperCase() ?? '', ...words.slice(1)]));
        if (holds && words[0]?.toUpperCase() === 'SENTINEL') held.push(say);
        else say();
      }
    });
  });
  const port = await listen(server);
  return {
    asAddress: {
      url: SecretValue.fromText('redis://ignored'),
      cluster: false,
      sentinel: { name: 'main', addresses: [`127.0.0.1:${port}`] },
    },
    subscribed,
    tell(failover: string) {
      const message = ['message', '+switch-master', failover].map(bulk);
      for (const socket of subscribed) socket.write(`*3\r\n${message.join('')}`);
    },
    held: () => held.length,
    /** Delays the answers to queries for the master until the returned function is called. */
    hold() {
      holds = true;
      return () => {
        holds = false;
        for (const say of held.splice(0)) say();
      };
    },
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

async function openClients(address: RedisAddress, onError: (thrown: unknown) => void) {
  const server = await connectRedis(address, 'test');
  server.onError(onError);
  return {
    quick: server.connection as Redis,
    blocking: () => server.blocking() as Redis,
    close: () => server.close(),
  };
}

describe('Redis connection', () => {
  it('a Redis connection reports only its first error if it emits several errors', async () => {
    await using server = await startSilent();
    const reported: unknown[] = [];
    const connected = server.connected();
    const clients = await openClients({ url: server.url, cluster: false }, (thrown) => reported.push(thrown));
    await connected;
    const { stream } = clients.quick;
    const errors = [new Error('the certificate is not trusted'), new Error('alert decode error')];
    // Node would throw the second error here if it had no listener.
    for (const error of errors) stream.emit('error', error);
    await new Promise((resolve) => setImmediate(resolve));
    expect(reported).toContain(errors[0]);
    expect(reported).not.toContain(errors[1]);
    clients.close();
  });

  it.each([
    "READONLY You can't write against a read only replica. script: f00, on @user_script:1.",
    "ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.",
  ])('a Redis connection reconnects when its master has become a replica: %s', async (error) => {
    await using server = await answering((command) => (command === 'EVAL' ? `-${error}` : '+OK'));
    const clients = await openClients({ url: server.url, cluster: false }, () => undefined);
    const worker = clients.blocking();
    const isRefused = expect(worker.eval('return 1', 0)).rejects.toThrow('READONLY');
    await isRefused;
    await once(worker, 'connecting');
    clients.close();
  });

  it('a Redis connection subscribes again after the sentinel has restarted, even if the restarted sentinel refuses the subscription', async () => {
    await using server = await listenAsSentinel();
    const clients = await openClients(server.asAddress, () => undefined);
    await waitUntil(() => expect(server.subscribed).toHaveLength(1));
    server.subscribed[0]?.destroy();
    await waitUntil(() => expect(server.subscribed).toHaveLength(2));
    // These pings leave the refusal enough time to arrive.
    const { quick } = clients;
    await waitUntil(() => expect(quick.status).toBe('ready'));
    for (let n = 0; n < 20; n += 1) await quick.ping();
    clients.close();
  });

  it('a Redis connection reconnects when a reconnect is requested during the sentinel lookup', async () => {
    await using server = await listenAsSentinel();
    const release = server.hold();
    const clients = await openClients(server.asAddress, () => undefined);
    const { quick } = clients;
    await waitUntil(() => expect(server.held()).toBeGreaterThan(0));
    expect(quick.status).toBe('connecting');
    quick.disconnect(true);
    release();
    await waitUntil(() => expect(quick.status).toBe('ready'));
    clients.close();
  });

  it('a Redis connection retries the lookup of the master while no sentinel is reachable', async () => {
    await using server = await listenAsSentinel();
    const address = { ...server.asAddress, sentinel: { name: 'main', addresses: ['127.0.0.1:1'] } };
    const reported: unknown[] = [];
    const clients = await openClients(address, (thrown) => reported.push(String(thrown)));
    const none = expect.stringMatching(/^Error: All sentinels are unreachable/);
    await waitUntil(() => expect(reported.length).toBeGreaterThan(4));
    expect(new Set(reported)).toEqual(new Set([none]));
    clients.close();
  });

  it('a connection and its duplicate each reconnect once after each failover of their master, and not after a failover of another master', async () => {
    await using server = await listenAsSentinel();
    const clients = await openClients(server.asAddress, () => undefined);
    const copy = clients.blocking().duplicate();
    const all = [clients.quick, copy];
    await waitUntil(() => expect(server.subscribed).toHaveLength(1));
    await waitUntil(() => expect(all.map(({ status }) => status)).toEqual(['ready', 'ready']));
    const begun = [0, 0];
    for (const [index, client] of all.entries())
      client.on('connecting', () => {
        begun[index] = (begun[index] ?? 0) + 1;
      });
    server.tell('other 127.0.0.1 1 127.0.0.1 2');
    for (let n = 0; n < 2; n += 1) server.tell('main 127.0.0.1 1 127.0.0.1 2');
    await waitUntil(() => expect(begun).toEqual([1, 1]));
    await waitUntil(() => expect(all.map(({ status }) => status)).toEqual(['ready', 'ready']));
    server.tell('main 127.0.0.1 2 127.0.0.1 1');
    await waitUntil(() => expect(begun).toEqual([2, 2]));
    copy.disconnect();
    clients.close();
  });

  it('a Redis connection causes no unhandled error if a duplicate of this connection emits several errors', async () => {
    await using server = await startSilent();
    const clients = await openClients({ url: server.url, cluster: false }, () => undefined);
    const copy = clients.blocking().duplicate();
    await once(copy, 'connect');
    const again = copy.duplicate();
    await once(again, 'connect');
    for (const { stream } of [copy, again]) {
      stream.emit('error', new Error('the certificate is not trusted'));
      stream.emit('error', new Error('alert decode error'));
    }
    copy.disconnect();
    again.disconnect();
    clients.close();
  });
});
