import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';

/** Slows down calls to one store when the store asks for it. */
export interface Throttle {
  /** Returns the milliseconds until the next call may start. 0 means now. */
  wait(): number;
  /** @throws AppError THROTTLED with `retryAfterMs`, if a call would have to wait too long. */
  check(): void;
  /** Returns the fraction of the configured rate that may be used now: above 0, at most 1. */
  share(): number;
  /** The error that caused the current slowdown. */
  readonly error: AppError | undefined;
  /** Called at the start of a call. Returns the epoch, which must be passed to `record`. */
  begin(): number;
  /** Records the result of a call. */
  record(error: AppError | undefined, startEpoch: number): void;
}

export interface ThrottleOptions {
  readonly clock: Clock;
  /** Returns a number from 0 (inclusive) to 1 (exclusive). */
  readonly random?: () => number;
}

/** The longest wait of a call. Longer waits are left to the queue, because a waiting call blocks a worker. */
export const MAX_CALL_WAIT_MS = 5_000;
const FIRST_PAUSE_MS = 500;
const MAX_BACKOFF_MS = 30_000;
/** The maximum pause, even if the store asks for a longer one. */
const MAX_PAUSE_MS = 5 * 60_000;
const MIN_SHARE = 1 / 32;
/** The time in which the rate recovers linearly from its minimum to the full rate. */
const RECOVERY_MS = 60_000;

/**
 * A throttled call pauses the store. The pause is as long as the store asks, but at least an exponential backoff with
 * full jitter. The rate is halved, and then recovers linearly. Concurrent throttled calls count as one.
 */
export function createThrottle({ clock, random = Math.random }: ThrottleOptions): Throttle {
  let consecutive = 0;
  /** Incremented after each throttled call. Calls that start in the same epoch count as concurrent. */
  let epoch = 0;
  let error: AppError | undefined;
  let pausedAt = 0;
  let pauseMs = 0;
  let reduction = { to: 1, at: 0 };

  // If the clock was set back, the pause ends. It would otherwise become longer.
  const since = (then: number): number => {
    const passed = clock.now() - then;
    return passed < 0 ? Number.POSITIVE_INFINITY : passed;
  };
  const share = () => Math.min(1, reduction.to + since(reduction.at) / RECOVERY_MS);
  const wait = () => Math.max(0, pauseMs - since(pausedAt));
  const pause = (why: AppError, ms: number) => {
    error = why;
    pausedAt = clock.now();
    pauseMs = ms;
  };

  return {
    wait,
    share,
    check() {
      const ms = wait();
      if (ms <= MAX_CALL_WAIT_MS) return;
      const detail = 'calls are paused until then, so this call was skipped';
      throw new AppError(error?.code ?? 'THROTTLED', { detail, retryAfterMs: ms, cause: error });
    },
    get error() {
      return wait() > 0 || share() < 1 ? error : undefined;
    },
    begin: () => epoch,
    record(failure, startEpoch) {
      const isThrottled =
        failure !== undefined && (failure.code === 'THROTTLED' || failure.retryAfterMs !== undefined);
      if (!isThrottled) {
        if (failure === undefined && startEpoch === epoch) consecutive = 0;
        return;
      }
      const requestedMs = Math.min(failure.retryAfterMs ?? 0, MAX_PAUSE_MS);
      if (startEpoch === epoch) {
        const backoff = random() * Math.min(FIRST_PAUSE_MS * 2 ** consecutive, MAX_BACKOFF_MS);
        reduction = { to: Math.max(MIN_SHARE, share() / 2), at: clock.now() };
        consecutive += 1;
        epoch += 1;
        pause(failure, Math.max(requestedMs, backoff));
      } else if (requestedMs > wait()) pause(failure, requestedMs);
    },
  };
}
