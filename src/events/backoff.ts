import type { AppError } from '../core/errors.ts';

export interface Backoff {
  /** Call this after a success. The next failure then causes only the shortest wait. */
  reset(): void;
  /**
   * Waits after a failure. Each further failure without a success in between makes the wait longer.
   * @param fixedLimitMs The maximum of this wait, regardless of the number of failures. Used for errors that a quick
   * retry cannot fix.
   */
  wait(error: AppError, fixedLimitMs?: number): Promise<void>;
}

export interface BackoffOptions {
  /** Returns a number from 0 to 1. */
  readonly random: () => number;
  /** The fraction of each wait that is fixed. The remaining part is random. Default: 0. */
  readonly minimumShare?: number;
  /** Resolves after the time, or as soon as the signal is aborted. An aborted signal never causes a rejection. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

const FIRST_MS = 1_000;
const MAX_MS = 60_000;
const MAX_DOUBLINGS = 10;
/**
 * The longest wait that the server can request with `Retry-After`. Without a limit, a server could stop the requests
 * for a long time.
 */
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
