import { type StartTimer, startBackgroundTimer } from '../../core/timer.ts';
import { REASONS, type Reason } from '../../queue/queue.ts';

/** Delay in milliseconds until the job runs again; `undefined` for no further run. */
type RetryAfter = number | undefined;

/**
 * Limits concurrency for each set of stores, so that a store that does not answer blocks only its own jobs. The jobs
 * with the same set of stores share a compartment.
 */
export interface Bulkhead {
  /**
   * Runs the work when the compartment has capacity, and returns its result. If too many jobs are waiting, returns a
   * retry delay instead. The delays let jobs return about twice as fast as the compartment completes them. Without that
   * spread, thousands of retries each second would cost more than the work.
   */
  run(compartment: string, reason: Reason, work: () => Promise<RetryAfter>): Promise<RetryAfter>;
}

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
}

interface Compartment {
  running: number;
  /** Waiting jobs by reason, the most urgent reason first. Each callback receives whether its job may start. */
  readonly waiting: ((mayBegin: boolean) => void)[][];
  /** Moving average of the time between two completed jobs. `undefined` before the second one. */
  paceMs: number | undefined;
  /** When the compartment last completed a job. Before the first one, when the compartment was created. */
  progressAt: number;
  isMeasured: boolean;
  /** The latest assigned retry time for each reason. */
  readonly assignedUntil: number[];
}

/** A job that would wait longer returns to the queue, because it occupies a worker slot while it waits. */
const MAX_WAIT_MS = 1_000;
const MIN_RETRY_MS = 500;
/** Upper bound of a retry delay, because the compartment may become faster. */
const MAX_RETRY_MS = 60_000;
/** Assumed time between two completed jobs before any measurement. */
const DEFAULT_PACE_MS = 20;
/** The ratio of scheduled retries to completed jobs. It is above 1, so that the compartment is never idle. */
const OVERSUBSCRIPTION = 2;
/** Weight of the newest interval in the moving average. */
const SMOOTHING = 0.1;

export function createBulkhead({
  concurrency,
  maxQueued,
  now,
  wake = startBackgroundTimer,
}: BulkheadOptions): Bulkhead {
  const bulkhead = new Map<string, Compartment>();
  const open = (name: string): Compartment => {
    const compartment: Compartment = {
      running: 0,
      waiting: REASONS.map(() => []),
      paceMs: undefined,
      progressAt: now(),
      isMeasured: false,
      assignedUntil: REASONS.map(() => 0),
    };
    bulkhead.set(name, compartment);
    return compartment;
  };

  const measure = (compartment: Compartment): void => {
    const took = now() - compartment.progressAt;
    compartment.progressAt += took;
    if (compartment.isMeasured)
      compartment.paceMs =
        compartment.paceMs === undefined
          ? took
          : compartment.paceMs + (took - compartment.paceMs) * SMOOTHING;
    compartment.isMeasured = true;
  };
  const release = (name: string, compartment: Compartment): void => {
    measure(compartment);
    const next = compartment.waiting.find((line) => line.length > 0)?.shift();
    // Pass the capacity to the next waiting job, so that no later job takes it.
    if (next !== undefined) next(true);
    else {
      compartment.running -= 1;
      if (compartment.running === 0) bulkhead.delete(name);
    }
  };
  /** Whether a job can expect to start soon if `ahead` others start first. */
  const isMovingFast = ({ paceMs = 0, progressAt }: Compartment, ahead: number): boolean =>
    now() - progressAt < MAX_WAIT_MS && ahead * paceMs < MAX_WAIT_MS;

  /** Waits for capacity. Resolves with false if the job must retry later. */
  const acquire = async (compartment: Compartment, reason: Reason): Promise<boolean> => {
    if (compartment.running < concurrency) {
      compartment.running += 1;
      return true;
    }
    const rank = REASONS.indexOf(reason);
    const line = compartment.waiting[rank] ?? [];
    // Count only jobs that are at least as urgent, so that less urgent jobs never cause a rejection.
    const ahead = compartment.waiting.slice(0, rank + 1).reduce((sum, { length }) => sum + length, 0);
    // A manual request is never rejected.
    const hasRoom = ahead < maxQueued || reason === 'manual';
    if (!hasRoom && !isMovingFast(compartment, ahead)) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    line.push(resolve);
    if (hasRoom) return promise;
    const cancelTimer = wake(() => {
      const at = line.indexOf(resolve);
      if (at < maxQueued) return;
      line.splice(at, 1);
      resolve(false);
    }, MAX_WAIT_MS);
    try {
      return await promise;
    } finally {
      cancelTimer();
    }
  };

  const retryAfter = (compartment: Compartment, reason: Reason): number => {
    const rank = REASONS.indexOf(reason);
    const soonest = now() + MIN_RETRY_MS;
    const next =
      (compartment.assignedUntil[rank] ?? 0) + (compartment.paceMs ?? DEFAULT_PACE_MS) / OVERSUBSCRIPTION;
    // If the time exceeds the upper bound, start over at the lower bound, so that the retries stay spread.
    const at = next > now() + MAX_RETRY_MS ? soonest : Math.max(soonest, next);
    compartment.assignedUntil[rank] = at;
    return at - now();
  };

  return {
    async run(name, reason, work) {
      const compartment = bulkhead.get(name) ?? open(name);
      if (!(await acquire(compartment, reason))) return retryAfter(compartment, reason);
      try {
        return await work();
      } finally {
        release(name, compartment);
      }
    },
  };
}
