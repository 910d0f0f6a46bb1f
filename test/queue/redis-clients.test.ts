import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { SecretValue } from '../../src/core/secret-value.ts';
import { openClients } from '../../src/queue/redis-clients.ts';

/** A server that accepts connections and says nothing. */
async function listen() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: SecretValue.fromText(`redis://127.0.0.1:${port}`),
    connected: () => once(server, 'connection'),
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

describe('a connection to Redis', () => {
  it('may have more than one error, and only the first is told', async () => {
    await using server = await listen();
    const told: unknown[] = [];
    const connected = server.connected();
    const clients = await openClients({ url: server.url, cluster: false }, (thrown) => told.push(thrown));
    await connected;
    const { stream } = clients.quick as Redis;
    const errors = [new Error('the certificate is not trusted'), new Error('alert decode error')];
    // The second would be thrown here, if nobody heard it.
    for (const error of errors) stream.emit('error', error);
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toContain(errors[0]);
    expect(told).not.toContain(errors[1]);
    clients.close();
  });

  it('has no unheard error as a copy either', async () => {
    await using server = await listen();
    const clients = await openClients({ url: server.url, cluster: false }, () => undefined);
    const copy = (clients.patient() as Redis).duplicate();
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
