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

interface Connection {
  readonly socket: Socket;
  readonly network: string;
  /** The requests without a complete response. */
  readonly requests: Set<IncomingMessage>;
}

interface ConnectionLimits {
  /** The maximum number of connections from all addresses. */
  readonly connections: number;
  readonly connectionsPerAddress: number;
}

/**
 * Limits the number of connections, in total and per address. A further connection replaces the oldest idle one of the
 * same address, or of the address with the most connections. So a client with many idle connections does not
 * lock out others, not even a probe from its own address. Node's own limit would refuse the further connection.
 *
 * `drain` is needed because Node's `closeIdleConnections` skips two kinds of connections: those that never sent
 * anything, and those in a TLS handshake. After `close`, Node also stops enforcing request timeouts, so connections of
 * both kinds would delay the shutdown.
 */
export function trackConnections(server: Server, limits: ConnectionLimits): Connections {
  /** From the oldest to the newest. */
  const connections = new Map<string, Connection>();
  const countByNetwork = new Map<string, number>();
  let isDraining = false;

  const destroy = (name: string): void => {
    const connection = connections.get(name);
    if (connection === undefined) return;
    connections.delete(name);
    count(countByNetwork, connection.network, -1);
    connection.socket.destroy();
  };
  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    // The address is undefined if the client has already disconnected.
    const network = networkOf(socket.remoteAddress ?? '');
    connections.set(name, { socket, network, requests: new Set() });
    const ofNetwork = count(countByNetwork, network, 1);
    socket.once('close', () => {
      if (connections.get(name)?.socket === socket) destroy(name);
    });
    if (isDraining) destroy(name);
    else if (ofNetwork > limits.connectionsPerAddress) destroy(leastUseful(connections, network) ?? name);
    else if (connections.size > limits.connections)
      destroy(leastUseful(connections, largest(countByNetwork)) ?? name);
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const name = nameOf(request.socket);
    const connection = connections.get(name);
    connection?.requests.add(request);
    response.once('close', () => {
      connection?.requests.delete(request);
      if (isDraining && connection?.requests.size === 0) connection.socket.destroySoon();
    });
  });
  return {
    drain() {
      isDraining = true;
      for (const [name, { requests }] of connections) if (requests.size === 0) destroy(name);
    },
    destroyAll() {
      for (const name of connections.keys()) destroy(name);
    },
  };
}

/**
 * Returns the oldest connection of a network that is idle, or else the oldest one whose request is incomplete. Returns
 * undefined if all connections wait for a response. The newest connection is not considered, because it had no time to
 * send a request.
 */
function leastUseful(connections: ReadonlyMap<string, Connection>, network: string): string | undefined {
  const older = [...connections].slice(0, -1).filter(([, connection]) => connection.network === network);
  const idle = older.find(([, { requests }]) => requests.size === 0);
  const incomplete = ([, { requests }]: (typeof older)[number]): boolean =>
    [...requests].some(({ complete }) => !complete);
  return (idle ?? older.find(incomplete))?.[0];
}

/** Returns the network with the most connections. */
function largest(countByNetwork: ReadonlyMap<string, number>): string {
  const [first] = [...countByNetwork].sort(([, a], [, b]) => b - a);
  return first?.[0] ?? '';
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
