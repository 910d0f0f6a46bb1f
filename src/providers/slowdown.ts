import type PQueue from 'p-queue';
import type { ErrorCode } from '../core/error-codes.ts';
import { AppError } from '../core/errors.ts';
import type { AdaptiveRate } from './adaptive-rate.ts';

/** Slows down the requests to one store when the store asks for it. */
export interface Slowdown extends Disposable {
  /** The error that caused the current slowdown. */
  readonly error: AppError | undefined;
  /**
   * The error for requests that are rejected during a long pause. Its `retryAfterMs` is the remaining time of the
   * pause. Undefined at all other times.
   */
  readonly refusal: AppError | undefined;
  /** The remaining milliseconds of the pause. */
  readonly remainingMs: number;
  /**
   * The number of slowdowns so far. Requests that start with the same number count as concurrent. Remember the number
   * at the start of a request, and pass it to `record` at the end.
   */
  readonly round: number;
  /**
   * Records the result of a request. Returns whether `error` may have changed.
   * @param readMs The duration of a read. Undefined for other requests.
   */
  record(failure: AppError | undefined, round: number, readMs?: number): boolean;
}

/**
 * The longest time that a request may wait. For longer waits, the job returns to the queue, because a waiting request
 * blocks a worker.
 */
export const MAX_CALL_WAIT_MS = 5_000;
const FIRST_PAUSE_MS = 500;
const MAX_BACKOFF_MS = 30_000;
/** The maximum duration of a pause, even if the store asks for a longer one. */
const MAX_PAUSE_MS = 5 * 60_000;
/** After a pause, a store counts as slowed down for this long if it gets no requests. */
const RECOVERY_MS = 60_000;
const PAUSED = 'calls are paused until then, so this call was skipped';

/** The codes of missing answers. Many of them at once show that the store is overloaded. */
const UNANSWERED_CODES: ReadonlySet<ErrorCode> = new Set(['STORE_UNAVAILABLE', 'TIMEOUT']);

/**
 * Creates the slowdown of one queue. A throttled request pauses the queue for the time that the store asks for, or for
 * the backoff if it is longer. The backoff is exponential with full jitter. After the pause, the rate is lower. If
 * several concurrent requests are throttled, they count as one.
 */
export function createSlowdown(queue: PQueue, rate: AdaptiveRate, random: () => number): Slowdown {
  let consecutive = 0;
  let round = 0;
  let error: AppError | undefined;
  let pausedUntil = 0;
  let timer: NodeJS.Timeout | undefined;

  const remaining = () => Math.max(0, Math.ceil(pausedUntil - performance.now()));
  const pause = (why: AppError, ms: number): void => {
    error = why;
    if (ms <= remaining()) return;
    pausedUntil = performance.now() + ms;
    queue.pause();
    clearTimeout(timer);
    timer = setTimeout(() => queue.start(), ms);
    if (ms > MAX_CALL_WAIT_MS) queue.clear();
  };
  const recordThrottled = (failure: AppError, startRound: number): void => {
    const requestedMs = Math.min(failure.retryAfterMs ?? 0, MAX_PAUSE_MS);
    if (startRound !== round) {
      if (requestedMs > remaining()) pause(failure, requestedMs);
      return;
    }
    const backoff = random() * Math.min(FIRST_PAUSE_MS * 2 ** consecutive, MAX_BACKOFF_MS);
    consecutive += 1;
    round += 1;
    rate.record('throttled');
    pause(failure, Math.max(requestedMs, backoff));
  };
  return {
    get error() {
      return performance.now() - pausedUntil < RECOVERY_MS ? error : undefined;
    },
    get refusal() {
      const retryAfterMs = remaining();
      if (error === undefined || retryAfterMs <= MAX_CALL_WAIT_MS) return undefined;
      return new AppError(error.code, { detail: PAUSED, retryAfterMs, cause: error });
    },
    get remainingMs() {
      return remaining();
    },
    get round() {
      return round;
    },
    record(failure, startRound, readMs) {
      if (failure !== undefined) {
        const isThrottled = failure.code === 'THROTTLED' || failure.retryAfterMs !== undefined;
        if (isThrottled) recordThrottled(failure, startRound);
        else if (UNANSWERED_CODES.has(failure.code)) rate.record('unanswered');
        return isThrottled;
      }
      rate.record('answered', readMs);
      if (startRound === round) consecutive = 0;
      if (error === undefined || remaining() > 0) return false;
      error = undefined;
      return true;
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
