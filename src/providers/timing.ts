import { setTimeout as sleepFor } from 'node:timers/promises';
import { AppError } from '../core/errors.ts';
import { MAX_TIMER_MS } from '../core/timer.ts';

/** Resolves after the time. Rejects with the signal's reason if the signal is aborted before. */
export type Sleep = (ms: number, signal: AbortSignal | undefined) => Promise<void>;

/** Returns a signal that is aborted after the time, with TIMEOUT as the reason. Call `stop` when the call has ended. */
export type MakeDeadline = (ms: number) => Deadline;

export interface Deadline {
  readonly signal: AbortSignal;
  stop(): void;
}

export async function systemSleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleepFor(Math.min(ms, MAX_TIMER_MS), undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted(); // Node rejects with its own error, and not with the signal's reason
    throw error;
  }
}

export function systemDeadline(ms: number): Deadline {
  const controller = new AbortController();
  const late = () => controller.abort(new AppError('TIMEOUT'));
  const timer = setTimeout(late, Math.min(ms, MAX_TIMER_MS));
  return { signal: controller.signal, stop: () => clearTimeout(timer) };
}
