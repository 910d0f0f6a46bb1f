import type { AppError } from '../core/errors.ts';

export interface Backoff {
  /** It worked: the next failure is the first one again. */
  reset(): void;
  /** Waits after a failure, longer each time. @param slowMs The longest wait at once, where trying soon is of no use. */
  wait(error: AppError, slowMs?: number): Promise<void>;
}

export interface BackoffOptions {
  /** At least 0, at most 1. */
  readonly random: () => number;
  /** The share of each wait that chance does not shorten. Left out: none. */
  readonly least?: number;
  /** Ends without an error when the signal says so. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

const FIRST_MS = 1_000;
const MOST_MS = 60_000;
const MOST_DOUBLINGS = 10;
/** A server may say when to come again, but not that we should stand still. */
const MOST_ASKED_MS = 120_000;

export function createBackoff({ random, least = 0, pause, signal }: BackoffOptions): Backoff {
  let failures = 0;
  return {
    reset() {
      failures = 0;
    },
    async wait({ retryAfterMs = 0 }, slowMs) {
      const most = slowMs ?? Math.min(MOST_MS, FIRST_MS * 2 ** failures);
      failures = Math.min(failures + 1, MOST_DOUBLINGS);
      const backoff = most * (least + random() * (1 - least));
      await pause(Math.min(MOST_ASKED_MS, Math.max(backoff, retryAfterMs)), signal);
    },
  };
}
