import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import { listen } from '../fakes/loopback.ts';

/** `silent` accepts connections and never answers. `gone` cuts each connection. `failing` answers 503. */
export type StoreMode = 'there' | 'silent' | 'gone' | 'failing';

export interface StoreProxy extends AsyncDisposable {
  readonly address: string;
  mode: StoreMode;
  /** The extra delay of each call. */
  delayMs: number;
  /** The times of calls, in milliseconds since 1970. */
  readonly calls: readonly number[];
}

/** A proxy in front of an HTTP store. It can delay calls or fail them, and it records the time of each call. */
export async function startStoreProxy(upstream: string): Promise<StoreProxy> {
  const calls: number[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const server = createServer((incoming, outgoing) => {
    calls.push(Date.now());
    const { mode } = proxy;
    if (mode === 'silent') return;
    if (mode === 'gone') return void incoming.socket.destroy();
    if (mode === 'failing') return void outgoing.writeHead(503).end();
    const forward = (): void => {
      const { host: _, ...headers } = incoming.headers;
      const call = request(
        new URL(incoming.url ?? '/', upstream),
        { method: incoming.method ?? 'GET', headers, agent },
        (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(outgoing);
        },
      );
      call.on('error', () => outgoing.destroy());
      incoming.pipe(call);
    };
    if (proxy.delayMs > 0) setTimeout(forward, proxy.delayMs);
    else forward();
  });
  const port = await listen(server);
  const proxy: StoreProxy = {
    address: `http://127.0.0.1:${port}`,
    mode: 'there',
    delayMs: 0,
    calls,
    async [Symbol.asyncDispose]() {
      agent.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
