import { unlessAborted } from '../core/abort.ts';
import { AppError } from '../core/errors.ts';
import { MAX_TIMER_MS } from '../core/timer.ts';

/**
 * Returns a signal that is aborted after the time. Its reason is the error TIMEOUT. Call `stop` when the call has
 * ended.
 */
export type MakeDeadline = (ms: number) => Deadline;

export interface Deadline {
  readonly signal: AbortSignal;
  stop(): void;
}

/** Resolves after the time. If the signal is aborted before, rejects with the signal's reason. */
export async function systemSleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.min(ms, MAX_TIMER_MS));
  try {
    await unlessAborted(promise, signal);
  } finally {
    clearTimeout(timer);
  }
}

export function systemDeadline(ms: number): Deadline {
  const controller = new AbortController();
  const late = () => controller.abort(new AppError('TIMEOUT'));
  const timer = setTimeout(late, Math.min(ms, MAX_TIMER_MS));
  return { signal: controller.signal, stop: () => clearTimeout(timer) };
}
