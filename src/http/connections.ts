import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { networkOf } from './address.ts';

/** The connections of a server: so that it can end without waiting for those who hold one open. */
export interface Connections {
  /** Ends those without a request under way now, and the others after theirs. */
  drain(): void;
  destroyAll(): void;
}

/**
 * At most so many of one address; more are cut at once, before they cost a handshake. Node's own limit is for all
 * together, so whoever reached it would shut everybody out, the probes of the cluster too.
 *
 * Node's own `closeIdleConnections` takes no connection that never sent anything, nor one in its TLS handshake; and
 * after `close` it no longer looks for requests that are late. Either would hold up the end.
 */
export function trackConnections(server: Server, mostOfOne: number): Connections {
  const sockets = new Map<string, Socket>();
  const busy = new Map<string, number>();
  const ofNetwork = new Map<string, number>();
  let draining = false;

  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    // Unknown when the far end has left already.
    const network = networkOf(socket.remoteAddress ?? '');
    const open = count(ofNetwork, network, 1);
    sockets.set(name, socket);
    socket.once('close', () => {
      sockets.delete(name);
      count(ofNetwork, network, -1);
    });
    if (draining || open > mostOfOne) socket.destroy();
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const name = nameOf(request.socket);
    count(busy, name, 1);
    response.once('close', () => {
      const left = count(busy, name, -1);
      if (draining && left === 0) sockets.get(name)?.destroySoon();
    });
  });
  return {
    drain() {
      draining = true;
      for (const [name, socket] of sockets) if (!busy.has(name)) socket.destroy();
    },
    destroyAll() {
      for (const socket of sockets.values()) socket.destroy();
    },
  };
}

/** Gives how many there are now. */
function count(counts: Map<string, number>, name: string, change: 1 | -1): number {
  const now = (counts.get(name) ?? 0) + change;
  if (now > 0) counts.set(name, now);
  else counts.delete(name);
  return now;
}

/** With TLS a request has another socket object than the connection below it; both have the same far end. */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
