import { type StartTimer, startBackgroundTimer } from '../../core/timer.ts';
import { REASONS, type Reason } from '../../queue/queue.ts';

/** When a job is to run again, in milliseconds; undefined: only when it is asked for. */
type RetryAfter = number | undefined;

/** Jobs that need the same stores. A compartment that is stuck holds its own places, and nobody else's. */
export interface Bulkhead {
  /**
   * Runs work when the compartment has a place, and gives what it gives. What is turned away is given when to come back: those
   * of a compartment come back one after the other, about twice as fast as it works. Ten thousand that all came back each
   * second would take longer than the work.
   */
  run(compartment: string, reason: Reason, work: () => Promise<RetryAfter>): Promise<RetryAfter>;
}

export interface BulkheadOptions {
  readonly concurrency: number;
  /** So many wait in line in any case, beside those that have a place; more as long as it moves. */
  readonly maxQueued: number;
  /** Milliseconds that never go back. */
  readonly now: () => number;
  readonly wake?: StartTimer;
}

interface Compartment {
  running: number;
  /** By reason, the most urgent first: each is told whether it may begin. */
  readonly waiting: ((mayBegin: boolean) => void)[][];
  /** Between the ends of two works, as it was lately; undefined before there were two. */
  paceMs: number | undefined;
  /** When it last began from nothing or ended a work. */
  progressAt: number;
  isMeasured: boolean;
  /** By reason: until when the moments to come back are given away. */
  readonly assignedUntil: number[];
}

/** Who would wait longer in line goes back to the queue, since each that waits takes a place there. */
const MAX_WAIT_MS = 1_000;
const MIN_RETRY_MS = 500;
/** A compartment may be faster than it was. */
const MAX_RETRY_MS = 60_000;
/** Of a compartment of which nothing is known. */
const DEFAULT_PACE_MS = 20;
/** More come back than there is room for, so that it never stands idle. */
const OVERSUBSCRIPTION = 2;
/** The weight of the last interval in the average. */
const SMOOTHING = 0.1;

export function createBulkhead({
  concurrency: concurrency,
  maxQueued: maxQueued,
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
    // The place goes on to the next one without becoming free in between.
    if (next !== undefined) next(true);
    else {
      compartment.running -= 1;
      if (compartment.running === 0) bulkhead.delete(name);
    }
  };
  /** Whether one who comes now and waits behind so many has its turn soon. */
  const isMovingFast = ({ paceMs = 0, progressAt: movedAt }: Compartment, ahead: number): boolean =>
    now() - movedAt < MAX_WAIT_MS && ahead * paceMs < MAX_WAIT_MS;

  /** Whether it got a place; false when it was turned away. */
  const acquire = async (compartment: Compartment, reason: Reason): Promise<boolean> => {
    if (compartment.running < concurrency) {
      compartment.running += 1;
      return true;
    }
    const rank = REASONS.indexOf(reason);
    const line = compartment.waiting[rank] ?? [];
    // What is less urgent is not ahead, so that it keeps nothing more urgent out.
    const ahead = compartment.waiting.slice(0, rank + 1).reduce((sum, { length }) => sum + length, 0);
    // What a person waits for is never turned away.
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
    // Past the latest moment they begin at the soonest again, so that they stay spread.
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
