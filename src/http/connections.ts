import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { networkOf } from './address.ts';

/** Tracks the open connections of a server, so that it can stop without waiting for idle clients. */
export interface Connections {
  /** Closes idle connections immediately, and other connections after their current request. */
  drain(): void;
  destroyAll(): void;
}

/**
 * Limits the number of connections per address. Further connections are closed before they cost a TLS handshake. Node's
 * own limit counts all connections together. With it, a single client could lock out all others, even the cluster's
 * probes.
 *
 * `drain` is needed because Node's `closeIdleConnections` skips connections that never sent anything or are in a TLS
 * handshake. After `close`, Node also stops enforcing request timeouts. Both would delay the shutdown.
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

/** Changes the count of a name and returns the new count. */
function count(counts: Map<string, number>, name: string, change: 1 | -1): number {
  const now = (counts.get(name) ?? 0) + change;
  if (now > 0) counts.set(name, now);
  else counts.delete(name);
  return now;
}

/**
 * Identify a connection by its remote address and port. With TLS, the socket object of a request differs from that of
 * its connection.
 */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
