import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AppError } from '../core/errors.ts';
import { codeOf, resourceShortageOf } from '../core/system-errors.ts';

interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Parses `host:port`. An IPv6 address must be in brackets. @throws AppError LISTEN_FAILED. */
export function parseListen(text: string): ListenAddress {
  const [, ipv6, name, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = ipv6 ?? name;
  if (host === undefined || Number(digits) > 65_535)
    throw new AppError('LISTEN_FAILED', {
      subject: 'http.listen',
      detail: 'the address must have the form host:port',
    });
  // Replace `localhost` by one address, because it resolves to two. For two addresses, Fastify would start two servers,
  // and only one of them would get renewed certificates.
  return { host: host === 'localhost' ? '127.0.0.1' : host, port: Number(digits) };
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program uses the port',
  EACCES: 'permission denied for this port',
  EADDRNOTAVAIL: 'this machine does not have the address',
  EAFNOSUPPORT: 'this machine does not support the address family',
  // This error means that a link-local address (`fe80::…`) has no zone. Such an address exists on every interface, so
  // the interface must be named.
  EINVAL: 'a link-local address needs an interface and cannot be used',
  ENOTFOUND: 'the host name does not resolve',
  EAI_AGAIN: 'the host name does not resolve',
};

export function listenError(thrown: unknown, address: string): unknown {
  const code = codeOf(thrown) ?? '';
  const detail = REASONS[code] ?? resourceShortageOf(thrown);
  if (detail === undefined) return thrown;
  return new AppError('LISTEN_FAILED', { subject: address, detail, cause: thrown });
}

/**
 * Returns the key for limits per address: an IPv4 address, or the first 64 bits of an IPv6 address. The owner of an
 * IPv6 network has 2^64 addresses, and could avoid a limit per full address.
 */
export function networkOf(ip: string): string {
  return ip.includes(':') && !ip.includes('.')
    ? (ip.split('::')[0]?.split(':').slice(0, 4).join(':') ?? ip)
    : ip;
}

/** Tracks the open connections of a server, so that the server can stop without waiting for idle clients. */
interface Connections {
  /** Closes idle connections immediately, and other connections after their current request. */
  drain(): void;
  destroyAll(): void;
}

/**
 * Limits the number of connections per address. Further connections are closed before they cost a TLS handshake. Node's
 * own limit counts the connections of all addresses together. With Node's limit, a single client could lock out all
 * others, even the cluster's probes.
 *
 * `drain` is needed because Node's `closeIdleConnections` skips two kinds of connections: those that never sent
 * anything, and those in a TLS handshake. After `close`, Node also stops enforcing request timeouts, so connections of
 * both kinds would delay the shutdown.
 */
export function trackConnections(server: Server, maxPerAddress: number): Connections {
  const sockets = new Map<string, Socket>();
  const activeRequests = new Map<string, number>();
  const openByNetwork = new Map<string, number>();
  let isDraining = false;

  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    // The address is undefined if the client has already disconnected.
    const network = networkOf(socket.remoteAddress ?? '');
    const open = count(openByNetwork, network, 1);
    sockets.set(name, socket);
    socket.once('close', () => {
      sockets.delete(name);
      count(openByNetwork, network, -1);
    });
    if (isDraining || open > maxPerAddress) socket.destroy();
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const name = nameOf(request.socket);
    count(activeRequests, name, 1);
    response.once('close', () => {
      const remaining = count(activeRequests, name, -1);
      if (isDraining && remaining === 0) sockets.get(name)?.destroySoon();
    });
  });
  return {
    drain() {
      isDraining = true;
      for (const [name, socket] of sockets) if (!activeRequests.has(name)) socket.destroy();
    },
    destroyAll() {
      for (const socket of sockets.values()) socket.destroy();
    },
  };
}

/** Adds `change` to the count of a name and returns the new count. */
function count(counts: Map<string, number>, name: string, change: 1 | -1): number {
  const now = (counts.get(name) ?? 0) + change;
  if (now > 0) counts.set(name, now);
  else counts.delete(name);
  return now;
}

/**
 * Identifies a connection by its remote address and port. The socket object does not identify a connection: with TLS, a
 * request has another socket object than its connection.
 */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
