import { once } from 'node:events';
import type { Server } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { AddressInfo, Server as NetServer } from 'node:net';

/** Makes a server listen on a free port of the loopback address. Returns the port. */
export async function listen(server: NetServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Closes a server and all of its connections. */
export async function closeServer(server: Server | TlsServer): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}
