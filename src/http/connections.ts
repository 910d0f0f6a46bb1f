import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The connections of a server: so that it can end without waiting for those who hold one open. */
export interface Connections {
  /** Ends those without a request under way now, and the others after theirs. */
  drain(): void;
  destroyAll(): void;
}

/**
 * Node's own `closeIdleConnections` takes no connection that never sent anything, nor one in its TLS handshake; and
 * after `close` it no longer looks for requests that are late. Either would hold up the end.
 */
export function trackConnections(server: Server): Connections {
  const sockets = new Map<string, Socket>();
  const busy = new Map<string, number>();
  let draining = false;

  server.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    sockets.set(name, socket);
    socket.once('close', () => sockets.delete(name));
    if (draining) socket.destroy();
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const name = nameOf(request.socket);
    busy.set(name, (busy.get(name) ?? 0) + 1);
    response.once('close', () => {
      const left = (busy.get(name) ?? 1) - 1;
      if (left > 0) busy.set(name, left);
      else busy.delete(name);
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

/** With TLS a request has another socket object than the connection below it; both have the same far end. */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
