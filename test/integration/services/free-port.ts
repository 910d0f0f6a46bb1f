import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { ServiceError } from './service.ts';

// The ports are below the range for outgoing connections, because an outgoing connection could take a free port of that
// range at any time.
const FIRST = 20_000;
const LAST = 32_000;
const handedOut = new Set<number>();

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = randomInt(FIRST, LAST);
    if (handedOut.has(port) || !(await isFree(port))) continue;
    handedOut.add(port);
    return port;
  }
  throw new ServiceError(
    `No port between ${FIRST} and ${LAST} is free. End some of the servers on this machine.`,
  );
}

/** Retries `start` after a port clash. Two runs can choose the same free port, and then one of their servers exits. */
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
