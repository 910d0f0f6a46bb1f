import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ServiceError } from '../../test/integration/services/service.ts';
import { cacheFolder } from '../setup/cache.js';

/** The answer to a command. The caller prints both texts. */
export interface Answer {
  readonly code: number;
  readonly stdout?: string;
  readonly stderr?: string;
}

type Handler = (args: readonly string[]) => Promise<Answer>;

/** Returns the folder of the running servers' files. Only the user of the servers can access it. */
export function playgroundFolder(): string {
  return join(cacheFolder(), 'playground');
}

const socketPath = (): string => join(playgroundFolder(), 'control.sock');

/**
 * Accepts the commands of `sendCommand`.
 *
 * @throws ServiceError if the servers of this user already run
 */
export async function listenForCommands(handle: Handler): Promise<AsyncDisposable> {
  mkdirSync(playgroundFolder(), { recursive: true, mode: 0o700 });
  chmodSync(playgroundFolder(), 0o700);
  if (await isListening())
    throw new ServiceError('The servers already run. `npm run -s servers -- status` shows their addresses.');
  // The socket of servers that were killed.
  rmSync(socketPath(), { force: true });
  const server = createServer({ allowHalfOpen: true }, async (socket) => {
    socket.on('error', () => socket.destroy());
    const args = await text(socket);
    // Without a command, the client only asks whether the servers run.
    if (args === '') return void socket.end();
    try {
      socket.end(JSON.stringify(await handle(JSON.parse(args) as readonly string[])));
    } catch (error) {
      // The start of the servers failed, and the process that runs them prints the reason.
      if (!(error instanceof Error)) throw error;
      socket.destroy();
    }
  });
  await listen(server);
  return {
    async [Symbol.asyncDispose]() {
      server.close();
      rmSync(playgroundFolder(), { recursive: true, force: true });
    },
  };
}

async function listen(server: Server): Promise<void> {
  try {
    server.listen(socketPath());
    await once(server, 'listening');
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new ServiceError(
      `${socketPath()} cannot be used (${error.message}). Set XDG_CACHE_HOME to a folder with a short path.`,
    );
  }
}

async function isListening(): Promise<boolean> {
  const socket = await connectToServers();
  socket?.destroy();
  return socket !== undefined;
}

/** Sends a command to the running servers. Returns undefined if no servers run. */
export async function sendCommand(args: readonly string[]): Promise<Answer | undefined> {
  const socket = await connectToServers();
  if (socket === undefined) return undefined;
  socket.end(JSON.stringify(args));
  const answer = await text(socket);
  if (answer === '') throw new ServiceError('The servers stopped before they answered.');
  return JSON.parse(answer) as Answer;
}

async function connectToServers(): Promise<Socket | undefined> {
  const socket = connect({ path: socketPath(), allowHalfOpen: true });
  try {
    await once(socket, 'connect');
    return socket;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') return undefined;
    throw error;
  }
}
