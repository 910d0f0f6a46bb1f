import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A port of this machine that passes all connections to a server. Closing the port is an outage for the clients: their
 * connections end, and new ones are refused. The server itself keeps running, so it keeps its data.
 */
export class ServerPort {
  readonly port: number;
  readonly #serverPort: number;
  readonly #sockets = new Set<Socket>();
  #listener: Server | undefined;

  private constructor(port: number, serverPort: number) {
    this.port = port;
    this.#serverPort = serverPort;
  }

  /** Opens `wanted`. If another program uses this port, opens a free port. */
  static async open(wanted: number, serverPort: number): Promise<ServerPort> {
    const first = new ServerPort(wanted, serverPort);
    if (await first.open()) return first;
    // The server already has a port that is free from other programs. The next one is probably free too.
    for (let port = serverPort + 1; port < serverPort + 100; port++) {
      const other = new ServerPort(port, serverPort);
      if (await other.open()) return other;
    }
    throw new Error(`No port after ${serverPort} is free.`);
  }

  get isOpen(): boolean {
    return this.#listener !== undefined;
  }

  /** @returns Whether the port is open now. It stays closed if another program uses it. */
  async open(): Promise<boolean> {
    if (this.#listener !== undefined) return true;
    // Both directions of a connection end independently, because some clients close their direction first.
    const listener = createServer({ allowHalfOpen: true }, (client) => this.#pass(client));
    try {
      listener.listen({ port: this.port, host: '127.0.0.1', exclusive: true });
      await once(listener, 'listening');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return false;
      throw error;
    }
    this.#listener = listener;
    return true;
  }

  async close(): Promise<void> {
    const listener = this.#listener;
    if (listener === undefined) return;
    this.#listener = undefined;
    const closed = once(listener, 'close');
    listener.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #pass(client: Socket): void {
    const server = connect({ port: this.#serverPort, host: '127.0.0.1', allowHalfOpen: true });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        if (socket.destroyed && !other.writableEnded) other.destroy();
      });
      socket.pipe(other);
    }
  }
}
