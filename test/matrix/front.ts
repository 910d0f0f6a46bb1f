import dns from 'node:dns';
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import tls from 'node:tls';
import { vi } from 'vitest';
import type { Authority } from '../fakes/certificates.ts';
import { listen } from '../fakes/loopback.ts';

export const FACES = ['good', 'another name', 'expired'] as const;
export type Face = (typeof FACES)[number];

/**
 * A TLS proxy in front of a server. The proxy can change its certificate but keeps its address, because a store with
 * another address counts as a different store.
 */
export interface Front extends AsyncDisposable {
  readonly port: number;
  /**
   * Replaces the certificate and closes open connections. Resolves after the clients in this process have noticed the
   * closed connections.
   */
  show(face: Face): Promise<void>;
  /** Closes open connections. */
  cut(): void;
}

export interface FrontOptions {
  readonly authority: Authority;
  /** The host name that clients use. */
  readonly host: string;
  readonly upstream: { readonly port: number; readonly secure: boolean };
}

export async function startFront({ authority, host, upstream }: FrontOptions): Promise<Front> {
  const hour = 3_600_000;
  const certificates = {
    good: authority.issue({ names: [host] }),
    'another name': authority.issue({ names: ['other.example.org'] }),
    expired: authority.issue({
      names: [host],
      notBefore: new Date(Date.now() - 2 * hour),
      notAfter: new Date(Date.now() - hour),
    }),
  };
  const sockets = new Set<Socket>();
  const server = tls.createServer(certificates.good, (client) => {
    const { port, secure } = upstream;
    // Accepts any certificate, because the upstream servers are fakes on this machine.
    const behind = secure
      ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : net.connect({ port, host: '127.0.0.1' });
    // Disables Nagle's algorithm, which would delay small packets.
    client.setNoDelay(true);
    behind.setNoDelay(true);
    client.on('error', () => behind.destroy());
    client.on('close', () => behind.destroy());
    behind.on('error', () => client.destroy());
    client.pipe(behind).pipe(client);
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => undefined);
  const port = await listen(server);
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    cut,
    async show(face) {
      server.setSecureContext(certificates[face]);
      const closed = [...sockets].map((socket) => once(socket, 'close'));
      cut();
      await Promise.all(closed);
      // In the clients, the sockets close one turn of the event loop later.
      await nextTurn();
      await nextTurn();
    },
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Replaces the DNS resolver. Resolves the host names of this test to this machine, unless a test makes a name fail. */
export interface Names extends Disposable {
  /** Makes the name fail to resolve from now on. */
  lose(host: string): void;
  find(host: string): void;
}

export function replaceNames(hosts: readonly string[]): Names {
  const lost = new Set<string>();
  const genuine = dns.lookup;
  const spy = vi.spyOn(dns, 'lookup');
  const lookup = (host: string, options: dns.LookupOptions, callback: (...results: unknown[]) => void) => {
    if (!hosts.includes(host)) return Reflect.apply(genuine, dns, [host, options, callback]);
    if (lost.has(host)) {
      const error = Object.assign(new Error('not found'), { code: 'ENOTFOUND', syscall: 'getaddrinfo' });
      return process.nextTick(callback, error);
    }
    if (options.all) return process.nextTick(callback, null, [{ address: '127.0.0.1', family: 4 }]);
    return process.nextTick(callback, null, '127.0.0.1', 4);
  };
  spy.mockImplementation(lookup as unknown as typeof dns.lookup);
  return {
    lose: (host) => void lost.add(host),
    find: (host) => void lost.delete(host),
    [Symbol.dispose]: () => spy.mockRestore(),
  };
}
