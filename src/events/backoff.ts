import type { AppError } from '../core/errors.ts';

export interface Backoff {
  /** Call it after a success: the next failure gets the first wait again. */
  reset(): void;
  /**
   * Waits after a failure, longer each time.
   * @param fixedLimitMs The upper limit of this wait, for errors that a quick retry cannot fix.
   */
  wait(error: AppError, fixedLimitMs?: number): Promise<void>;
}

export interface BackoffOptions {
  /** Returns a number from 0 to 1. */
  readonly random: () => number;
  /** The fraction of each wait that is not randomized. Default: 0. */
  readonly minimumShare?: number;
  /** Resolves after the time, or as soon as the signal is aborted. Never rejects because of the signal. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

const FIRST_MS = 1_000;
const MAX_MS = 60_000;
const MAX_DOUBLINGS = 10;
/** The longest `Retry-After` that is honored: a server must not stop us for long. */
const MAX_RETRY_AFTER_MS = 120_000;

export function createBackoff({ random, minimumShare = 0, pause, signal }: BackoffOptions): Backoff {
  let failures = 0;
  return {
    reset() {
      failures = 0;
    },
    async wait({ retryAfterMs = 0 }, fixedLimitMs) {
      const limitMs = fixedLimitMs ?? Math.min(MAX_MS, FIRST_MS * 2 ** failures);
      failures = Math.min(failures + 1, MAX_DOUBLINGS);
      const backoff = limitMs * (minimumShare + random() * (1 - minimumShare));
      await pause(Math.min(MAX_RETRY_AFTER_MS, Math.max(backoff, retryAfterMs)), signal);
    },
  };
}
