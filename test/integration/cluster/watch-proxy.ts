import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { kubernetes } from '../services/inject.ts';

/** Answers a request to the proxy, or returns the path that the proxy must request instead. */
type Plan = (incoming: IncomingMessage, outgoing: ServerResponse) => string | undefined;

/** A proxy for watches in front of the real API server. It can inject faults and forward answers byte by byte. */
export interface WatchProxy extends AsyncDisposable {
  readonly address: string;
  readonly requests: readonly {
    readonly kind: 'list' | 'watch';
    readonly headers: IncomingMessage['headers'];
  }[];
  next(kind: 'list' | 'watch', plan: Plan): void;
  /** Cuts the open streams. */
  cut(): void;
  /** Stops forwarding the open streams, without closing them. */
  freeze(): void;
  inject(text: string): void;
  drip: boolean;
  /** Stops listening, like a server that is down. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startWatchProxy(): Promise<WatchProxy> {
  const { address: upstream, caFile } = kubernetes();
  const agent = new Agent({ ca: readFileSync(caFile) });
  const requests: WatchProxy['requests'][number][] = [];
  const plans: Record<'list' | 'watch', Plan[]> = { list: [], watch: [] };
  const streams = new Set<{ outgoing: ServerResponse; frozen: boolean }>();

  const server = createServer((incoming, outgoing) => {
    const path = incoming.url ?? '/';
    const kind = path.includes('watch=true') ? 'watch' : 'list';
    requests.push({ kind, headers: incoming.headers });
    const plan = plans[kind].shift();
    const target = plan === undefined ? path : plan(incoming, outgoing);
    if (target === undefined) return;
    const { host: _, ...headers } = incoming.headers;
    const call = request(new URL(target, upstream), { method: incoming.method, headers, agent }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      outgoing.flushHeaders();
      const stream = { outgoing, frozen: false };
      if (kind === 'watch') streams.add(stream);
      answer.on('data', (chunk: Buffer) => {
        if (stream.frozen) return;
        if (!proxy.drip) outgoing.write(chunk);
        else for (const byte of chunk) outgoing.write(Buffer.of(byte));
      });
      answer.on('end', () => stream.frozen || outgoing.end());
      answer.on('error', () => outgoing.destroy());
    });
    call.on('error', () => outgoing.destroy());
    outgoing.on('error', () => call.destroy());
    outgoing.on('close', () => {
      call.destroy();
      for (const stream of streams) if (stream.outgoing === outgoing) streams.delete(stream);
    });
    incoming.pipe(call);
  });

  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const stop = async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  const port = await listen(0);

  const proxy: WatchProxy = {
    address: `http://127.0.0.1:${port}`,
    requests,
    drip: false,
    next: (kind, plan) => void plans[kind].push(plan),
    cut() {
      for (const { outgoing } of streams) outgoing.socket?.resetAndDestroy();
    },
    freeze() {
      for (const stream of streams) stream.frozen = true;
    },
    inject(text) {
      for (const { outgoing } of streams) outgoing.write(text);
    },
    stop,
    async start() {
      await listen(port);
    },
    async [Symbol.asyncDispose]() {
      if (server.listening) await stop();
      agent.destroy();
    },
  };
  return proxy;
}
