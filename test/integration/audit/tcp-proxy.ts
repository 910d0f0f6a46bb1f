import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { listen } from '../../fakes/loopback.ts';

/** What happens to a connection when the client sends a commit. */
export type CommitFault =
  /** Both ends are cut, and the server never hears of it. */
  | 'never sent'
  /** The server carries it out, and the client's end is cut before the answer. */
  | 'not answered'
  /** The client's end is cut at once, and the server hears of it when `release` is called. */
  | 'sent late';

/** Between a client and PostgreSQL: passes everything on, until it is told to do wrong. */
export interface TcpProxy extends AsyncDisposable {
  /** The url with this proxy's address in it. */
  readonly url: string;
  /** For the next commit only; resolves when it has come. */
  onCommit(fault: CommitFault): Promise<void>;
  /** Lets a commit go that was held back. */
  release(): void;
  /** From now on nothing passes, and new connections are accepted and left alone. */
  freeze(): void;
  /** Cuts new connections, and leaves those that stand. */
  refuse(): void;
  /** Cuts all connections, and new ones. */
  goAway(): void;
  /** Everything as it was, for new connections. */
  comeBack(): void;
  /** Cuts the connections that stand now. */
  cut(): void;
}

const COMMIT = Buffer.from('commit\0');

export async function startTcpProxy(serverUrl: string): Promise<TcpProxy> {
  const upstream = new URL(serverUrl);
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
    let held = false;
    client.on('close', () => held || server.destroy());
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
        held = true;
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
    goAway() {
      mode = 'away';
      cut();
    },
    comeBack() {
      mode = 'pass';
      cut();
    },
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      listener.close();
      await once(listener, 'close');
    },
  };
}
