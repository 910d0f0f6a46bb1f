/** What the result of one request says about the load of the store. */
export type LoadSign = 'answered' | 'unanswered' | 'throttled';

export interface AdaptiveRateOptions {
  /** The highest rate, in requests per second. */
  readonly maximum: number;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  /** Returns how much of the time since the last call this process was busy, from 0 to 1. */
  readonly busyShare: () => number;
}

/** The signs are counted in windows of this length. The rate drops at most once in this time. */
const WINDOW_MS = 1_000;
/** A window with fewer requests, or fewer reads, proves no overload, because so few requests overload no store. */
const MIN_REQUESTS = 10;
/** Fewer answers per second count as this many, so that a sign at a quiet time does not stop the next burst of work. */
const MIN_ANSWERS_PER_SECOND = 50;
const MIN_RATE = 1;
/** The share of missing answers that shows an overloaded store, and not a few broken keys. */
const UNANSWERED_SHARE = 0.2;
/** The fastest answer of an overloaded store takes at least this many times the usual time, plus `LATE_MS`. */
const LATE_FACTOR = 4;
const LATE_MS = 100;
/** If this process was busier, its own work may have delayed the answers. */
const MAX_BUSY_SHARE = 0.5;
/** Half of the answered rate is used first, and three quarters of it after this time. */
const RECOVERY_MS = 20_000;
/** After this time, the curve has passed its flat part. */
const FLAT_UNTIL_MS = 2 * RECOVERY_MS;
/** If the answers of so many windows in a row stay slow, the lower rate has not helped. */
const UNCHANGED_WINDOWS = 2;

interface Drop {
  readonly at: number;
  /** The rate at which the curve is flat. */
  readonly plateau: number;
  /** The time of the fastest answer before the drop. */
  readonly usualMs: number;
  /** The number of windows in a row whose answers were slow, since the drop. */
  readonly slowWindows: number;
}

/**
 * Finds the rate at which one store can answer. The rate starts at its maximum. At a sign of overload, it drops to half
 * of what the store answered in the last second. The signs: the store throttles, a fifth of the answers is missing, or
 * even the fastest answers get slow. Then the rate rises along a cubic curve, like the congestion control of TCP (CUBIC,
 * RFC 9438). It rises quickly at first, hardly near the rate that was too high, and quickly again if no new sign
 * appears. It is back at the answered rate after 40 s, at three times this rate after a minute, and at 17 times this
 * rate after 100 s.
 *
 * If the answers stay slow at the lower rate, our requests are probably not the cause. Then, as soon as they are fast
 * again, the rate rises quickly from the answered rate on.
 */
export class AdaptiveRate {
  readonly #options: AdaptiveRateOptions;
  #drop: Drop | undefined;
  #windowStart: number;
  #answered = 0;
  #unanswered = 0;
  /** The answered reads of this window. Only they have a duration. */
  #reads = 0;
  #answeredBefore = 0;
  #fastestMs = Number.POSITIVE_INFINITY;
  /** The time of the fastest answer since the last drop. */
  #usualMs = Number.POSITIVE_INFINITY;
  /** Whether the answers may still include requests from before a drop. */
  #isSettling = false;

  constructor(options: AdaptiveRateOptions) {
    this.#options = options;
    this.#windowStart = options.now();
  }

  /** The rate that is allowed now, in requests per second. */
  get perSecond(): number {
    const { maximum, now } = this.#options;
    if (this.#drop === undefined) return maximum;
    const periods = (now() - this.#drop.at) / RECOVERY_MS;
    const rate = this.#drop.plateau * (1 + (periods - 1) ** 3 / 3);
    if (rate >= maximum) this.#drop = undefined;
    return Math.min(maximum, Math.max(MIN_RATE, rate));
  }

  /** @param ms The duration of an answered read. Other requests have other durations, so they do not count. */
  record(sign: LoadSign, ms?: number): void {
    this.#endWindow();
    if (sign === 'throttled') this.#slowDown();
    if (sign === 'answered') {
      this.#answered += 1;
      if (ms === undefined) return;
      this.#reads += 1;
      this.#fastestMs = Math.min(this.#fastestMs, ms);
    }
    if (sign === 'unanswered') {
      this.#unanswered += 1;
      const all = this.#answered + this.#unanswered;
      if (all >= MIN_REQUESTS && this.#unanswered >= all * UNANSWERED_SHARE && this.#answered > 0)
        this.#slowDown();
    }
  }

  #endWindow(): void {
    const elapsed = this.#options.now() - this.#windowStart;
    if (elapsed < WINDOW_MS) return;
    const isBusy = this.#options.busyShare() > MAX_BUSY_SHARE;
    const isLate = this.#isSlowFor(this.#usualMs);
    if (this.#reads >= MIN_REQUESTS && isLate && !isBusy && !this.#isSettling) {
      this.#slowDown();
      return;
    }
    if (this.#reads > 0 && !this.#isSettling) {
      this.#judgeDrop();
      this.#usualMs = Math.min(this.#usualMs, this.#fastestMs);
    }
    this.#isSettling = false;
    this.#startWindow(elapsed < 2 * WINDOW_MS ? this.#answered : 0);
  }

  /** Whether even the fastest answer of this window took much longer than the usual time. */
  #isSlowFor(usualMs: number): boolean {
    return this.#fastestMs > LATE_FACTOR * usualMs + LATE_MS;
  }

  /** Leaves the flat part of the curve if the store became fast again, but not because of the lower rate. */
  #judgeDrop(): void {
    const drop = this.#drop;
    if (drop === undefined) return;
    const isSlow = this.#isSlowFor(drop.usualMs);
    const isOver = !isSlow && drop.slowWindows >= UNCHANGED_WINDOWS;
    const at = isOver ? Math.min(drop.at, this.#options.now() - FLAT_UNTIL_MS) : drop.at;
    this.#drop = { ...drop, at, slowWindows: isSlow ? drop.slowWindows + 1 : 0 };
  }

  #slowDown(): void {
    const now = this.#options.now();
    if (this.#drop !== undefined && now - this.#drop.at < WINDOW_MS) return;
    // The part of the last second that is before this window counts with the rate of the window before.
    const earlier = this.#answeredBefore * Math.max(0, 1 - (now - this.#windowStart) / WINDOW_MS);
    const answered = Math.max(MIN_ANSWERS_PER_SECOND, this.#answered + earlier);
    const plateau = 0.75 * Math.min(this.perSecond, answered);
    const usualMs = Math.min(this.#usualMs, this.#drop?.usualMs ?? Number.POSITIVE_INFINITY);
    this.#drop = { at: now, plateau, usualMs, slowWindows: 0 };
    this.#usualMs = Number.POSITIVE_INFINITY;
    this.#isSettling = true;
    this.#startWindow(0);
  }

  #startWindow(answeredBefore: number): void {
    this.#windowStart = this.#options.now();
    this.#answeredBefore = answeredBefore;
    this.#answered = 0;
    this.#unanswered = 0;
    this.#reads = 0;
    this.#fastestMs = Number.POSITIVE_INFINITY;
  }
}
