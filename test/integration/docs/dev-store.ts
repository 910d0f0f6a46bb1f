import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { listen } from '../../fakes/loopback.ts';
import { createRequest } from '../services/http.ts';
import { startOpenBao } from '../services/openbao.ts';
import type { VaultServer } from '../services/vault-launch.ts';

/**
 * An OpenBao in development mode. A restart keeps its address and loses its data, like `docker stop` and `docker
 * start`.
 */
export interface DevStore extends AsyncDisposable {
  /** The address, which stays the same after a restart. */
  readonly address: string;
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** @param token The root token. The commands on the pages need a fixed token. */
export async function openDevStore(token: string): Promise<DevStore> {
  let server: VaultServer | undefined;
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    client.on('error', () => undefined);
    if (server === undefined) return void client.resetAndDestroy();
    const { hostname: host, port } = new URL(server.address);
    const upstream = connect({ host, port: Number(port) });
    sockets.add(client);
    client.pipe(upstream).pipe(client);
    upstream.on('error', () => client.destroy());
    client.on('close', () => {
      sockets.delete(client);
      upstream.destroy();
    });
    upstream.on('close', () => client.destroy());
  });
  const port = await listen(listener);
  const stop = async () => {
    const ending = server;
    server = undefined;
    for (const socket of sockets) socket.resetAndDestroy();
    await ending?.stop();
  };
  const store: DevStore = {
    address: `http://127.0.0.1:${port}`,
    stop,
    async start() {
      const started = await startOpenBao({ borrow: false });
      const headers = { 'x-vault-token': started.rootToken };
      const body = { id: token, policies: ['root'], no_parent: true };
      const request = createRequest({ address: started.address, headers });
      const answer = await request('POST', '/v1/auth/token/create', body);
      if (answer.status !== 200) throw new Error(`the token was not created: ${answer.status}`);
      server = started;
    },
    async [Symbol.asyncDispose]() {
      await stop();
      listener.close();
      await once(listener, 'close');
    },
  };
  await store.start();
  return store;
}
