import { type StartTimer, startBackgroundTimer } from '../../core/timer.ts';
import { REASONS, type Reason, rankOf } from '../../queue/queue.ts';
import { FairShares } from './fair-shares.ts';

export interface BulkheadOptions {
  /** Maximum running and waiting jobs of all compartments: the number of jobs that the queue runs at the same time. */
  readonly maxJobs: number;
  /**
   * Number of jobs that may wait in a compartment for a long time, in addition to the running ones. More may wait while
   * jobs start quickly.
   */
  readonly maxQueued: number;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  readonly wake?: StartTimer;
  /** Returns how much of the time since its last call this process was busy, from 0 to 1. Defaults to 0. */
  readonly busyShare?: () => number;
}

export interface BulkheadJob {
  /** The name of the compartment. Jobs with the same set of stores have the same one. */
  readonly name: string;
  /** Maximum running jobs of the compartment. It is the same for all of its jobs. */
  readonly concurrency: number;
  readonly reason: Reason;
  /** The `include` of the job, so that tenants share the capacity fairly. Undefined for jobs of the main file. */
  readonly group: string | undefined;
}

/** Delay in milliseconds until the job runs again; `undefined` for no further run. */
type RetryAfter = number | undefined;

/** If a job would wait longer than this, it returns to the queue, because a waiting job occupies a worker slot. */
const MAX_WAIT_MS = 1_000;
/**
 * The same time while this process is busy and jobs end. Then its own work makes the compartment slow, and not a store.
 * The jobs of other compartments would be slow too, and a return to the queue would be additional work.
 */
const MAX_BUSY_WAIT_MS = 60_000;
/** While this process is busy, a compartment without a completed job for this time counts as stuck. */
const MAX_BUSY_IDLE_MS = 10_000;
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
 *
 * Tenants share the capacity of each compartment, and tenants and compartments share the places of the queue, by the rule
 * in `fair-shares.ts`.
 */
export class Bulkhead {
  readonly #options: BulkheadOptions;
  readonly #compartments = new Map<string, Compartment>();
  readonly #shares: FairShares;

  constructor(options: BulkheadOptions) {
    this.#options = options;
    this.#shares = new FairShares(options.maxJobs);
  }

  /**
   * Runs the work when the compartment has capacity, and returns its result. If too many jobs are waiting, returns a
   * retry delay instead. The delays let jobs return about twice as fast as the compartment completes them. If all
   * rejected jobs returned every second, the retries would cost more than the work.
   *
   * @param work May call `release` before its end, when it needs no more capacity. Then the next job starts.
   * @param onQueued Called if the work waits for capacity and is near its start.
   */
  async run(
    job: BulkheadJob,
    work: (release: () => void) => Promise<RetryAfter>,
    onQueued: () => void = () => undefined,
  ): Promise<RetryAfter> {
    const { name, concurrency } = job;
    const compartment =
      this.#compartments.get(name) ?? new Compartment(concurrency, this.#options, this.#shares);
    this.#compartments.set(name, compartment);
    // The job has its place in the queue already.
    this.#shares.add(job, 1);
    try {
      if (!(await compartment.acquire({ ...job, onQueued }))) return compartment.retryAfter(job.reason);
      return await runAndRelease(work, () => compartment.release(job));
    } finally {
      this.#shares.add(job, -1);
      if (compartment.isEmpty && this.#compartments.get(name) === compartment)
        this.#compartments.delete(name);
    }
  }
}

async function runAndRelease(
  work: (release: () => void) => Promise<RetryAfter>,
  onReleased: () => void,
): Promise<RetryAfter> {
  let isReleased = false;
  const release = (): void => {
    if (!isReleased) onReleased();
    isReleased = true;
  };
  try {
    return await work(release);
  } finally {
    release();
  }
}

interface NewJob extends BulkheadJob {
  readonly onQueued: () => void;
}

interface WaitingJob extends NewJob {
  /** Receives whether the job may start. */
  readonly resolve: (mayBegin: boolean) => void;
}

class Compartment {
  readonly #options: BulkheadOptions;
  /** Waiting jobs by reason, the most urgent reason first. */
  readonly #waiting: WaitingJob[][] = REASONS.map(() => []);
  /** The latest assigned retry time for each reason. */
  readonly #assignedUntil = REASONS.map(() => 0);
  /** The places of all compartments. */
  readonly #shares: FairShares;
  readonly #running: FairShares;
  /** The times between the last completed jobs, in milliseconds. */
  readonly #gaps: number[] = [];
  #gapsMs = 0;
  /** When the compartment last completed a job, or was created if it has completed none. */
  #progressAt: number;
  #hasCompleted = false;
  #busy = { at: Number.NEGATIVE_INFINITY, share: 0 };

  constructor(concurrency: number, options: BulkheadOptions, shares: FairShares) {
    this.#options = options;
    this.#shares = shares;
    this.#running = new FairShares(concurrency);
    this.#progressAt = options.now();
  }

  get isEmpty(): boolean {
    return this.#running.taken() === 0 && this.#waiting.every(({ length }) => length === 0);
  }

  /** Waits for capacity. Resolves with false if the job must return after a delay. */
  async acquire(newJob: NewJob): Promise<boolean> {
    const { maxQueued, wake = startBackgroundTimer } = this.#options;
    const { reason, group, onQueued } = newJob;
    if (this.#mayStart(newJob)) {
      this.#running.add(newJob, 1);
      return true;
    }
    const line = this.#waiting[rankOf(newJob)] ?? [];
    // Count only jobs that are at least as urgent, so that less urgent jobs never cause a rejection.
    const ahead = this.#waitingUntil(reason);
    // A group may wait while it has fewer jobs in the line than there is room for.
    const room = maxQueued - ahead.length;
    const hasRoom =
      room > 0 && (group === undefined || ahead.filter((job) => job.group === group).length < room);
    // A manual request is never rejected.
    const mayWait = (hasRoom && this.#mayWaitLong(newJob)) || reason === 'manual';
    if (!mayWait && !this.#startsSoon(newJob, ahead.length)) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const job = { ...newJob, resolve };
    line.push(job);
    if (line.length <= maxQueued || mayWait) onQueued();
    if (mayWait) return promise;
    let cancelTimer = (): void => undefined;
    const check = (): void => {
      const at = line.indexOf(job);
      if (at < maxQueued && this.#mayWaitLong(job)) return;
      if (this.#isBusy() && this.#startsSoon(job, at)) cancelTimer = wake(check, MAX_WAIT_MS);
      else {
        line.splice(at, 1);
        resolve(false);
      }
    };
    cancelTimer = wake(check, MAX_WAIT_MS);
    return promise.finally(() => cancelTimer());
  }

  release(job: BulkheadJob): void {
    this.#measure();
    this.#running.add(job, -1);
    // Give the capacity to waiting jobs now, so that no later job takes it.
    for (let next = this.#takeNext(); next !== undefined; next = this.#takeNext()) {
      this.#running.add(next, 1);
      next.resolve(true);
    }
  }

  #mayStart({ group }: BulkheadJob): boolean {
    return this.#running.free() > 0 && this.#running.isFairFor(group);
  }

  #mayWaitLong({ group, reason }: BulkheadJob): boolean {
    const jobs = this.#running.taken() + this.#waitingUntil(reason).length;
    return jobs < this.#shares.free(reason) && this.#shares.isFairFor(group, reason);
  }

  /** Returns the waiting jobs that are at least as urgent. */
  #waitingUntil(reason: Reason): readonly WaitingJob[] {
    return this.#waiting.slice(0, rankOf({ reason }) + 1).flat();
  }

  /** Removes and returns the most urgent job that may start. If several are equally urgent, the groups take turns. */
  #takeNext(): WaitingJob | undefined {
    for (const line of this.#waiting) {
      let next: WaitingJob | undefined;
      for (const job of line)
        if (
          this.#mayStart(job) &&
          (next === undefined || this.#running.takenBy(job.group) < this.#running.takenBy(next.group))
        )
          next = job;
      if (next === undefined) continue;
      const at = line.indexOf(next);
      line.splice(at, 1);
      const last = this.#options.maxQueued - 1;
      // The job at this place has moved forward, near its start.
      if (at <= last) line[last]?.onQueued();
      return next;
    }
    return undefined;
  }

  retryAfter(reason: Reason): number {
    const rank = rankOf({ reason });
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
  #startsSoon({ group, reason }: BulkheadJob, ahead: number): boolean {
    if (!this.#shares.isFairFor(group, reason)) return false;
    const idleMs = this.#options.now() - this.#progressAt;
    const expectedMs = ahead * (this.#paceMs ?? 0);
    return this.#isBusy()
      ? idleMs < MAX_BUSY_IDLE_MS && expectedMs < MAX_BUSY_WAIT_MS
      : idleMs < MAX_WAIT_MS && expectedMs < MAX_WAIT_MS;
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
