import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { BenchError } from '../harness/error.ts';
import type { Place, Running } from './program.ts';

/** @throws BenchError when it is not so in time, or the process has ended. */
export async function waitUntil(
  what: string,
  run: Running,
  isSo: () => Promise<boolean>,
  { everyMs = 50, withinMs = 900_000 } = {},
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await Promise.race([isSo(), run.lost]))) {
    if (performance.now() > deadline) throw new BenchError(`${what} took longer than ${withinMs / 1_000} s`);
    await waitFor(everyMs, run);
  }
}

/** @throws BenchError when the process has ended meanwhile. */
export async function waitFor(ms: number, { lost }: Running): Promise<void> {
  await Promise.race([sleep(ms), lost]);
}

/** Whether the service says that it is ready. */
export async function isReady({ address }: Place): Promise<boolean> {
  try {
    const { statusCode, body } = await request(`${address}/readyz`);
    await body.dump();
    return statusCode === 200;
  } catch (error) {
    // It does not listen yet.
    if (error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED') return false;
    throw error;
  }
}
