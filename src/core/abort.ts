import { AppError } from './errors.ts';
import { type Wake, wakeLater } from './wake.ts';

/** What is under way when it is told to stop may end by itself for so long. */
const ENDING_MS = 2_000;

/** A signal for it, by a reason that is told from what others say. */
export function soonAfter(stop: AbortSignal | undefined, wake: Wake = wakeLater): AbortSignal | undefined {
  if (stop === undefined) return undefined;
  const ending = new AbortController();
  const onStop = () => void wake(() => ending.abort(new AppError('INTERRUPTED')), ENDING_MS);
  if (stop.aborted) onStop();
  else stop.addEventListener('abort', onStop, { once: true });
  return ending.signal;
}

/**
 * Waits for the promise, or rejects with the signal's reason once it is aborted. The promise itself goes on: others
 * may wait for it, and one that ignores its signal holds nobody.
 */
export async function unlessAborted<T>(promise: Promise<T> | T, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
