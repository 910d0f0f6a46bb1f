import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { listen } from '../../fakes/loopback.ts';

/** A TCP proxy in front of a server. It can inject faults, and does not decrypt TLS. */
export interface TcpGate extends AsyncDisposable {
  /** The address of the server with the port of the proxy. */
  readonly address: string;
  /** The number of accepted connections. */
  readonly accepted: number;
  /** Cuts open connections and rejects new ones, like a stopped server. */
  disconnect(): void;
  restore(): void;
  /** Silently drops traffic on open connections. New connections work. */
  freezeOpen(): void;
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
    disconnect() {
      away = true;
      cut();
    },
    restore() {
      away = false;
    },
    freezeOpen() {
      for (const pair of pairs) pair.dead = true;
    },
    async [Symbol.asyncDispose]() {
      cut();
      listener.close();
      await once(listener, 'close');
    },
  };
}
