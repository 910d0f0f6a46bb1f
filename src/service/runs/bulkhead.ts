import { type StartTimer, startBackgroundTimer } from '../../core/timer.ts';
import { REASONS, type Reason } from '../../queue/queue.ts';

/** Delay in milliseconds until the job runs again; `undefined` for none. */
type RetryAfter = number | undefined;

/**
 * Limits concurrency for each set of stores, so that a stuck store blocks only its own jobs. A compartment holds the
 * jobs with the same stores.
 */
export interface Bulkhead {
  /**
   * Runs the work when the compartment has capacity, and returns its result. A rejected job gets a delay instead.
   * Delays are spread at about twice the compartment's pace, since thousands of jobs retrying each second would cost
   * more than the work.
   */
  run(compartment: string, reason: Reason, work: () => Promise<RetryAfter>): Promise<RetryAfter>;
}

export interface BulkheadOptions {
  readonly concurrency: number;
  /** Jobs that may always wait in line, beside the running ones. More may wait while the line moves quickly. */
  readonly maxQueued: number;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  readonly wake?: StartTimer;
}

interface Compartment {
  running: number;
  /** Waiting jobs by reason, the most urgent first. Each callback receives whether its job may start. */
  readonly waiting: ((mayBegin: boolean) => void)[][];
  /** Moving average of the time between two completions; `undefined` before the second one. */
  paceMs: number | undefined;
  /** When the compartment was opened or last completed a job. */
  progressAt: number;
  isMeasured: boolean;
  /** By reason: the latest retry time that was assigned. */
  readonly assignedUntil: number[];
}

/** A job that would wait longer returns to the queue, because a waiting job occupies a worker slot. */
const MAX_WAIT_MS = 1_000;
const MIN_RETRY_MS = 500;
/** An upper bound, because the compartment may become faster. */
const MAX_RETRY_MS = 60_000;
/** Assumed pace before any measurement. */
const DEFAULT_PACE_MS = 20;
/** Schedules more retries than the pace allows, so that the compartment is never idle. */
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
    // Hand the capacity over directly, so that no later job takes it.
    if (next !== undefined) next(true);
    else {
      compartment.running -= 1;
      if (compartment.running === 0) bulkhead.delete(name);
    }
  };
  /** Whether a job behind `ahead` others can expect to start soon. */
  const isMovingFast = ({ paceMs = 0, progressAt }: Compartment, ahead: number): boolean =>
    now() - progressAt < MAX_WAIT_MS && ahead * paceMs < MAX_WAIT_MS;

  /** Waits for capacity. Resolves with false if the job is rejected. */
  const acquire = async (compartment: Compartment, reason: Reason): Promise<boolean> => {
    if (compartment.running < concurrency) {
      compartment.running += 1;
      return true;
    }
    const rank = REASONS.indexOf(reason);
    const line = compartment.waiting[rank] ?? [];
    // Count only jobs that are at least as urgent, so that less urgent ones never cause a rejection.
    const ahead = compartment.waiting.slice(0, rank + 1).reduce((sum, { length }) => sum + length, 0);
    // Manual requests are never rejected.
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
    // Beyond the upper bound, start again at the lower bound to stay spread.
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
