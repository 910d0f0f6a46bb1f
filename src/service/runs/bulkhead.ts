import { type StartTimer, startBackgroundTimer } from '../../core/timer.ts';
import { REASONS, type Reason } from '../../queue/queue.ts';

export interface BulkheadOptions {
  readonly concurrency: number;
  /**
   * Number of jobs that may always wait in the compartment, in addition to the running ones. More may wait while jobs
   * start quickly.
   */
  readonly maxQueued: number;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  readonly wake?: StartTimer;
  /** Returns how much of the time since its last call this process was busy, from 0 to 1. Defaults to 0. */
  readonly busyShare?: () => number;
}

/** Delay in milliseconds until the job runs again; `undefined` for no further run. */
type RetryAfter = number | undefined;

/** If a job would wait longer than this, it returns to the queue, because a waiting job occupies a worker slot. */
const MAX_WAIT_MS = 1_000;
/**
 * The same time while this process is busy. Then its own work makes the compartment slow, and not a store, so the jobs of
 * other compartments would be slow too.
 */
const MAX_BUSY_WAIT_MS = 10_000;
const MIN_BUSY_SHARE = 0.5;
const MIN_RETRY_MS = 500;
/** Upper bound of a retry delay, because the compartment may become faster. */
const MAX_RETRY_MS = 60_000;
/**
 * The shortest assumed time between two completed jobs before any measurement. When a busy process starts, the first
 * job often takes longer than a second, and the next jobs are fast.
 */
const MIN_UNKNOWN_PACE_MS = 5;
/** The assumed time, as a part of the time without a completed job. The longer a store hangs, the rarer the retries. */
const UNKNOWN_PACE_SHARE = 1 / 400;
/** The ratio of scheduled retries to completed jobs. It is above 1, so that the compartment is never idle. */
const OVERSUBSCRIPTION = 2;
/**
 * The number of completed jobs over which the pace is measured. Jobs end in bursts, because they share reads and disk
 * syncs. If a few jobs were enough, a pause between two bursts would look like a slow compartment, and hundreds of jobs
 * would return much too late.
 */
const PACE_WINDOW = 64;

/**
 * Limits concurrency for each set of stores, so that a store that does not answer blocks only its own jobs. The jobs
 * with the same set of stores share a compartment.
 */
export class Bulkhead {
  readonly #options: BulkheadOptions;
  readonly #compartments = new Map<string, Compartment>();

  constructor(options: BulkheadOptions) {
    this.#options = options;
  }

  /**
   * Runs the work when the compartment has capacity, and returns its result. If too many jobs are waiting, returns a
   * retry delay instead. The delays let jobs return about twice as fast as the compartment completes them. If all
   * rejected jobs returned every second, the retries would cost more than the work.
   *
   * @param work May call `release` before its end, when it needs no more capacity. Then the next job starts.
   * @param onQueued Called if the work waits for capacity, and certainly gets it.
   */
  async run(
    name: string,
    reason: Reason,
    work: (release: () => void) => Promise<RetryAfter>,
    onQueued: () => void = () => undefined,
  ): Promise<RetryAfter> {
    const compartment = this.#compartments.get(name) ?? new Compartment(this.#options);
    this.#compartments.set(name, compartment);
    if (!(await compartment.acquire(reason, onQueued))) return compartment.retryAfter(reason);
    let isReleased = false;
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      compartment.release();
      if (compartment.isIdle && this.#compartments.get(name) === compartment) this.#compartments.delete(name);
    };
    try {
      return await work(release);
    } finally {
      release();
    }
  }
}

interface WaitingJob {
  /** Receives whether the job may start. */
  readonly resolve: (mayBegin: boolean) => void;
  readonly onQueued: () => void;
}

class Compartment {
  readonly #options: BulkheadOptions;
  /** Waiting jobs by reason, the most urgent reason first. */
  readonly #waiting: WaitingJob[][] = REASONS.map(() => []);
  /** The latest assigned retry time for each reason. */
  readonly #assignedUntil = REASONS.map(() => 0);
  #running = 0;
  /** The times between the last completed jobs, in milliseconds. */
  readonly #gaps: number[] = [];
  #gapsMs = 0;
  /** When the compartment last completed a job, or was created if it has completed none. */
  #progressAt: number;
  #hasCompleted = false;
  #busy = { at: Number.NEGATIVE_INFINITY, share: 0 };

  constructor(options: BulkheadOptions) {
    this.#options = options;
    this.#progressAt = options.now();
  }

  get isIdle(): boolean {
    return this.#running === 0;
  }

  /** Waits for capacity. Resolves with false if the job must return after a delay. */
  async acquire(reason: Reason, onQueued: () => void): Promise<boolean> {
    const { concurrency, maxQueued, wake = startBackgroundTimer } = this.#options;
    if (this.#running < concurrency) {
      this.#running += 1;
      return true;
    }
    const rank = REASONS.indexOf(reason);
    const line = this.#waiting[rank] ?? [];
    // Count only jobs that are at least as urgent, so that less urgent jobs never cause a rejection.
    const ahead = this.#waiting.slice(0, rank + 1).reduce((sum, { length }) => sum + length, 0);
    // A manual request is never rejected.
    const hasRoom = ahead < maxQueued || reason === 'manual';
    if (!hasRoom && !this.#isMovingFast(ahead)) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const job = { resolve, onQueued };
    line.push(job);
    if (hasRoom) {
      onQueued();
      return promise;
    }
    let cancelTimer = (): void => undefined;
    const check = (): void => {
      const at = line.indexOf(job);
      if (at < maxQueued) return;
      if (this.#isBusy() && this.#isMovingFast(at)) cancelTimer = wake(check, MAX_WAIT_MS);
      else {
        line.splice(at, 1);
        resolve(false);
      }
    };
    cancelTimer = wake(check, MAX_WAIT_MS);
    return promise.finally(() => cancelTimer());
  }

  release(): void {
    this.#measure();
    const line = this.#waiting.find(({ length }) => length > 0);
    const next = line?.shift();
    // This job has moved forward, to a place where it is not rejected any more.
    line?.[this.#options.maxQueued - 1]?.onQueued();
    // Pass the capacity to the next waiting job, so that no later job takes it.
    if (next === undefined) this.#running -= 1;
    else next.resolve(true);
  }

  retryAfter(reason: Reason): number {
    const rank = REASONS.indexOf(reason);
    const now = this.#options.now();
    const soonest = now + MIN_RETRY_MS;
    const next = (this.#assignedUntil[rank] ?? 0) + (this.#paceMs ?? this.#unknownPaceMs) / OVERSUBSCRIPTION;
    // If the time exceeds the upper bound, start over at the lower bound, so that the retries stay spread.
    const at = next > now + MAX_RETRY_MS ? soonest : Math.max(soonest, next);
    this.#assignedUntil[rank] = at;
    return at - now;
  }

  /** The average time between two completed jobs. `undefined` before the second one. */
  get #paceMs(): number | undefined {
    return this.#gaps.length === 0 ? undefined : this.#gapsMs / this.#gaps.length;
  }

  get #unknownPaceMs(): number {
    const idleMs = this.#options.now() - this.#progressAt;
    return Math.max(MIN_UNKNOWN_PACE_MS, idleMs * UNKNOWN_PACE_SHARE);
  }

  /** Whether a job can expect to start soon if `ahead` others start first. */
  #isMovingFast(ahead: number): boolean {
    const idleMs = this.#options.now() - this.#progressAt;
    const maxWaitMs = this.#isBusy() ? MAX_BUSY_WAIT_MS : MAX_WAIT_MS;
    return idleMs < maxWaitMs && ahead * (this.#paceMs ?? 0) < maxWaitMs;
  }

  #isBusy(): boolean {
    const { now, busyShare = () => 0 } = this.#options;
    // A shorter time would be about single jobs.
    if (now() - this.#busy.at >= MAX_WAIT_MS) this.#busy = { at: now(), share: busyShare() };
    return this.#busy.share > MIN_BUSY_SHARE;
  }

  #measure(): void {
    const tookMs = this.#options.now() - this.#progressAt;
    this.#progressAt += tookMs;
    // After a standstill, the compartment may be fast again, so a long gap does not count fully.
    if (this.#hasCompleted) this.#addGap(Math.min(tookMs, MAX_WAIT_MS));
    this.#hasCompleted = true;
  }
  #addGap(ms: number): void {
    this.#gapsMs += ms - (this.#gaps.length < PACE_WINDOW ? 0 : (this.#gaps.shift() ?? 0));
    this.#gaps.push(ms);
  }
}
