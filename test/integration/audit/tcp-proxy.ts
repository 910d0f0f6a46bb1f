import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { listen } from '../../fakes/loopback.ts';

/** A fault that the proxy injects when the client commits. */
export type CommitFault =
  /** The proxy cuts both connections, and the server never receives the commit. */
  | 'never sent'
  /** The server receives the commit, and the proxy cuts the client before the answer. */
  | 'not answered'
  /** The proxy cuts the client immediately. The server receives the commit only when the test calls `release`. */
  | 'sent late';

/** A TCP proxy between a client and PostgreSQL that injects faults. */
export interface TcpProxy extends AsyncDisposable {
  /** The URL of the database at the address of the proxy. */
  readonly url: string;
  /** Sets a fault for the next commit. Resolves when that commit arrives. */
  onCommit(fault: CommitFault): Promise<void>;
  /** Sends the delayed commit. */
  release(): void;
  /** Stops all traffic. New connections are accepted and get no answer. */
  freeze(): void;
  /** Cuts new connections, and keeps the open ones. */
  refuse(): void;
  /** Cuts all connections, open and new. */
  disconnect(): void;
  /** Passes traffic again. Cuts the open connections to make clients connect again. */
  restore(): void;
  /** Cuts the open connections. */
  cut(): void;
  /** Sends new connections to another server, and cuts the open ones. */
  switchTo(serverUrl: string): void;
}

const COMMIT = Buffer.from('commit\0');

export async function startTcpProxy(serverUrl: string): Promise<TcpProxy> {
  let upstream = new URL(serverUrl);
  const clients = new Set<Socket>();
  const servers = new Set<Socket>();
  let mode: 'pass' | 'frozen' | 'away' = 'pass';
  let next: { readonly fault: CommitFault; readonly arrived: () => void } | undefined;
  let release = (): void => undefined;

  const listener = createServer((client) => {
    client.on('error', () => undefined);
    if (mode === 'away') return void client.destroy();
    clients.add(client);
    client.on('close', () => clients.delete(client));
    if (mode === 'frozen') return void client.pause();
    const server = connect({ host: upstream.hostname, port: Number(upstream.port) });
    servers.add(server);
    server.on('error', () => client.destroy());
    server.on('close', () => {
      servers.delete(server);
      client.destroy();
    });
    let isHeld = false;
    client.on('close', () => isHeld || server.destroy());
    server.on('data', (data) => {
      if (mode !== 'frozen') client.write(data);
    });
    client.on('data', (data) => {
      if (mode === 'frozen') return;
      if (next === undefined || !data.includes(COMMIT)) return void server.write(data);
      const { fault, arrived } = next;
      next = undefined;
      server.removeAllListeners('data');
      server.resume();
      if (fault === 'never sent') {
        client.destroy();
        server.destroy();
      } else if (fault === 'not answered') {
        server.once('data', () => client.destroy());
        server.write(data);
      } else {
        isHeld = true;
        client.destroy();
        release = () => {
          server.write(data);
          server.once('data', () => server.destroy());
        };
      }
      arrived();
    });
  });
  const port = await listen(listener);
  const url = new URL(serverUrl);
  url.port = String(port);

  const cut = (): void => {
    for (const socket of [...clients, ...servers]) socket.destroy();
  };
  return {
    url: url.href,
    onCommit: (fault) => new Promise((arrived) => (next = { fault, arrived })),
    release: () => release(),
    freeze: () => (mode = 'frozen'),
    refuse: () => (mode = 'away'),
    disconnect() {
      mode = 'away';
      cut();
    },
    restore() {
      mode = 'pass';
      cut();
    },
    cut,
    switchTo(url) {
      upstream = new URL(url);
      cut();
    },
    async [Symbol.asyncDispose]() {
      cut();
      listener.close();
      await once(listener, 'close');
    },
  };
}
