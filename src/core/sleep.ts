import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves after the time, or as soon as the signal is aborted. An aborted signal never causes a rejection. */
export async function sleepUntilAborted(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
