import type { Clock } from './clock.ts';
import { sleepMs } from './timer.ts';

export interface TokenBucketOptions {
  /** Called for each operation, so that the rate can change. */
  readonly perSecond: () => number;
  /** Returns the number of tokens of a full bucket at the given rate. At least 1. */
  readonly burst: (perSecond: number) => number;
  readonly clock: Clock;
}

/** A token bucket. It stores only the time at which it will be full (generic cell rate algorithm). */
export class TokenBucket {
  readonly #options: TokenBucketOptions;
  #fullAt = Number.NEGATIVE_INFINITY;
  #last = Number.NEGATIVE_INFINITY;

  constructor(options: TokenBucketOptions) {
    this.#options = options;
  }

  /** Takes tokens, even if there are fewer in the bucket. */
  take(count = 1): void {
    this.#fullAt = Math.max(this.#fullAt, this.#now()) + (count * 1000) / this.#options.perSecond();
  }

  /** The milliseconds until the bucket is not overdrawn. Negative if it holds tokens. */
  get debtMs(): number {
    const { perSecond, burst } = this.#options;
    const now = this.#now();
    const rate = perSecond();
    return Math.max(this.#fullAt, now) - now - (Math.max(1, burst(rate)) * 1000) / rate;
  }

  #now(): number {
    const now = this.#options.clock.now();
    // If the clock is set back by an hour, calls must not be blocked for an hour.
    if (now < this.#last) this.#fullAt -= this.#last - now;
    this.#last = now;
    return now;
  }
}

/** Reserves the next permitted call. Returns the number of milliseconds to wait before making the call. */
export function createRateLimiter(options: TokenBucketOptions): () => number {
  const bucket = new TokenBucket(options);
  return () => {
    bucket.take();
    return Math.max(0, Math.ceil(bucket.debtMs));
  };
}

/** Resolves when the next request may start. Rejects with the signal's abort reason. */
export type WaitForRate = (signal?: AbortSignal) => Promise<void>;

export interface RequestRateDeps {
  readonly clock: Clock;
  readonly wait?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * Spaces requests evenly. After a pause, as many requests as the rate allows in one second may start together. Without
 * a rate there is no limit.
 */
export function createRequestRateLimiter(
  perSecond: number | undefined,
  { clock, wait = sleepMs }: RequestRateDeps,
): WaitForRate {
  if (perSecond === undefined) return () => Promise.resolve();
  const nextDelayMs = createRateLimiter({ perSecond: () => perSecond, burst: (rate) => rate, clock });
  return async (signal) => {
    signal?.throwIfAborted();
    const ms = nextDelayMs();
    if (ms > 0) await wait(ms, signal);
  };
}
