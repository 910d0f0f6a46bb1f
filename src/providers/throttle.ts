import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';

/** What a store that asks us to slow down gets. It concerns that store alone. */
export interface Throttle {
  /** Milliseconds until the next call may be made; 0 for now. */
  wait(): number;
  /** @throws AppError THROTTLED with `retryAfterMs`, while the wait is too long to sit it out. */
  check(): void;
  /** The part of the configured rate that is used for now: above 0, at most 1. */
  share(): number;
  /** What asked for less, as long as there is less. */
  readonly error: AppError | undefined;
  /** At the start of a call: what to hand to `note`. */
  begin(): number;
  /** How a call ended. */
  note(error: AppError | undefined, begunIn: number): void;
}

export interface ThrottleOptions {
  readonly clock: Clock;
  /** At least 0, below 1. */
  readonly random?: () => number;
}

/** Longer waits are the queue's business: a call does not sit there holding a worker. */
export const PATIENCE_MS = 5_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_BACKOFF_MS = 30_000;
/** A store that asks for an hour is asked after this. */
const LONGEST_PAUSE_MS = 5 * 60_000;
const LOWEST_SHARE = 1 / 32;
/** The whole rate comes back by even steps within this time. */
const RECOVERY_MS = 60_000;

/**
 * A call that was throttled pauses the store: for as long as it asked, and at least for an exponential backoff with
 * full jitter. Its rate is halved, and grows back evenly. Of calls that were under way together one counts.
 */
export function createThrottle({ clock, random = Math.random }: ThrottleOptions): Throttle {
  let inARow = 0;
  /** Calls of one generation were under way together. */
  let generation = 0;
  let error: AppError | undefined;
  let pausedAt = 0;
  let pauseMs = 0;
  let lowered = { to: 1, at: 0 };

  // A clock that was set back ends what it would make endless.
  const since = (then: number): number => {
    const passed = clock.now() - then;
    return passed < 0 ? Number.POSITIVE_INFINITY : passed;
  };
  const share = () => Math.min(1, lowered.to + since(lowered.at) / RECOVERY_MS);
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
      if (ms <= PATIENCE_MS) return;
      const detail = 'it is left alone until then, so this call was not made';
      throw new AppError(error?.code ?? 'THROTTLED', { detail, retryAfterMs: ms, cause: error });
    },
    get error() {
      return wait() > 0 || share() < 1 ? error : undefined;
    },
    begin: () => generation,
    note(failure, begunIn) {
      const isThrottled =
        failure !== undefined && (failure.code === 'THROTTLED' || failure.retryAfterMs !== undefined);
      if (!isThrottled) {
        if (failure === undefined && begunIn === generation) inARow = 0;
        return;
      }
      const asked = Math.min(failure.retryAfterMs ?? 0, LONGEST_PAUSE_MS);
      if (begunIn === generation) {
        const backoff = random() * Math.min(FIRST_PAUSE_MS * 2 ** inARow, LONGEST_BACKOFF_MS);
        lowered = { to: Math.max(LOWEST_SHARE, share() / 2), at: clock.now() };
        inARow += 1;
        generation += 1;
        pause(failure, Math.max(asked, backoff));
      } else if (asked > wait()) pause(failure, asked);
    },
  };
}
