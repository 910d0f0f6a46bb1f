import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface Forward extends AsyncDisposable {
  readonly port: number;
}

/**
 * Accepts connections at an address of this machine and passes them on to a server on its loopback address. So pods
 * reach the servers of the tests, and no server listens for other machines.
 */
export async function forward(from: string, target: { host: string; port: number }): Promise<Forward> {
  const sockets = new Set<Socket>();
  const server = createServer((incoming) => {
    const outgoing = connect(target);
    for (const [socket, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  server.listen({ host: from, port: target.port, exclusive: true });
  await once(server, 'listening');
  return {
    port: target.port,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
