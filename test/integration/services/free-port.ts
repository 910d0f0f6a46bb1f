import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { ServiceError } from './service.ts';

// Below the range from which systems take the ports of outgoing connections: a port found free there could be gone a
// moment later without any other server being started.
const FIRST = 20_000;
const LAST = 32_000;
const given = new Set<number>();

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = randomInt(FIRST, LAST);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new ServiceError(
    `No port between ${FIRST} and ${LAST} is free. End some of the servers on this machine.`,
  );
}

/**
 * Two runs may still find the same port free at the same moment. The server that comes second ends, says why, and is
 * started again on another port.
 */
export async function retryOnPortClash<Result>(start: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof PortClash) || tries === 5) throw error;
    }
  }
}

export class PortClash extends ServiceError {}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
