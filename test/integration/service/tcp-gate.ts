import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { listen } from '../../fakes/loopback.ts';

/** Between us and a server, below TLS: passes everything on, until it is told otherwise. */
export interface TcpGate extends AsyncDisposable {
  /** The server's address with this gate's port in it. */
  readonly address: string;
  /** Connections that were accepted so far. */
  readonly accepted: number;
  /** As a server that has ended: cuts what stands, refuses what comes. */
  goAway(): void;
  comeBack(): void;
  /** On the connections that stand now nothing passes any more, and nobody is told; new ones are as always. */
  swallow(): void;
}

export async function openTcpGate(serverAddress: string): Promise<TcpGate> {
  const { hostname, port } = new URL(serverAddress);
  const pairs = new Set<{ readonly client: Socket; readonly server: Socket; dead: boolean }>();
  let away = false;
  let accepted = 0;
  const listener = createServer((client) => {
    client.on('error', () => undefined);
    if (away) return void client.resetAndDestroy();
    accepted += 1;
    const server = connect({ host: hostname, port: Number(port) });
    const pair = { client, server, dead: false };
    pairs.add(pair);
    server.on('error', () => client.destroy());
    client.on('data', (data) => pair.dead || server.write(data));
    server.on('data', (data) => pair.dead || client.write(data));
    client.on('close', () => {
      pairs.delete(pair);
      server.destroy();
    });
    server.on('close', () => pair.dead || client.destroy());
  });
  const address = new URL(serverAddress);
  address.port = String(await listen(listener));
  const cut = (): void => {
    for (const { client } of pairs) client.resetAndDestroy();
  };
  return {
    address: address.href.replace(/\/$/, ''),
    get accepted() {
      return accepted;
    },
    goAway() {
      away = true;
      cut();
    },
    comeBack() {
      away = false;
    },
    swallow() {
      for (const pair of pairs) pair.dead = true;
    },
    async [Symbol.asyncDispose]() {
      cut();
      listener.close();
      await once(listener, 'close');
    },
  };
}
