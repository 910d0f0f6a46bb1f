import { AppError } from './errors.ts';
import { type StartTimer, startBackgroundTimer } from './timer.ts';

/** How long work in progress may continue after a stop request. */
const GRACE_MS = 2_000;

/** Returns a signal that is aborted 2 s after `stop`, with `INTERRUPTED` as the reason. */
export function abortAfterGrace(
  stop: AbortSignal | undefined,
  wake: StartTimer = startBackgroundTimer,
): AbortSignal | undefined {
  if (stop === undefined) return undefined;
  const controller = new AbortController();
  const onStop = () => void wake(() => controller.abort(new AppError('INTERRUPTED')), GRACE_MS);
  if (stop.aborted) onStop();
  else stop.addEventListener('abort', onStop, { once: true });
  return controller.signal;
}

/**
 * Returns the promise's result, or rejects as soon as the signal is aborted. The work behind the promise keeps running,
 * because other callers may wait for its result. So no caller is blocked by work that ignores its signal.
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

/**
 * Returns the promise's result, or rejects soon after `stop` if the work has written nothing by then. Such work may wait
 * for a server that does not answer, and it writes nothing later.
 */
export async function unlessStopped<T>(
  work: Promise<T>,
  stop: AbortSignal,
  {
    isWriting,
    wake = startBackgroundTimer,
  }: { readonly isWriting: () => boolean; readonly wake?: StartTimer },
): Promise<T> {
  const { promise: abandoned, reject } = Promise.withResolvers<never>();
  const abandon = () => {
    if (!isWriting()) reject(new AppError('INTERRUPTED'));
  };
  const onStop = () => void wake(abandon, GRACE_MS);
  stop.addEventListener('abort', onStop, { once: true });
  try {
    return await Promise.race([work, abandoned]);
  } finally {
    stop.removeEventListener('abort', onStop);
  }
}

/** Returns undefined if the work was aborted. */
export async function undefinedIfStopped<T>(
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (thrown) {
    if (signal?.aborted && thrown instanceof AppError && thrown.code === 'INTERRUPTED') return undefined;
    throw thrown;
  }
}
