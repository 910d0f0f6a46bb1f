import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { BenchError } from '../harness/error.ts';
import type { RunningProcess, Workspace } from './program.ts';

/** @throws BenchError after a timeout, or when the process ends. */
export async function waitUntil(
  what: string,
  run: RunningProcess,
  isSo: () => Promise<boolean>,
  { everyMs = 50, withinMs = 900_000 } = {},
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await Promise.race([isSo(), run.unexpectedEnd]))) {
    if (performance.now() > deadline) throw new BenchError(`${what} took longer than ${withinMs / 1_000} s`);
    await waitFor(everyMs, run);
  }
}

/** @throws BenchError when the process ends. */
export async function waitFor(ms: number, { unexpectedEnd }: RunningProcess): Promise<void> {
  await Promise.race([sleep(ms), unexpectedEnd]);
}

/** Whether the service reports ready. */
export async function isReady({ address }: Workspace): Promise<boolean> {
  try {
    const { statusCode, body } = await request(`${address}/readyz`);
    await body.dump();
    return statusCode === 200;
  } catch (error) {
    // The service is not listening yet.
    if (error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED') return false;
    throw error;
  }
}
