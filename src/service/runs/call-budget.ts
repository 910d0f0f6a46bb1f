import type { Mapping, MappingInclude } from '../../core/mapping.ts';
import { TokenBucket } from '../../core/rate-limiter.ts';
import type { Reason } from '../../queue/queue.ts';
import { refsOf, searchesOf } from '../../sync/desired.ts';

export interface CallBudgetOptions {
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
}

/** The share of the calls of a minute that may start together. The others are spread over the minute. */
const BURST_SHARE = 0.1;
const MIN_RETRY_MS = 500;
/** Upper bound of a retry delay, because other jobs may need fewer calls than expected. */
const MAX_RETRY_MS = 60_000;
/** The ratio of retries to calls. It is above 1, so that no calls stay unused. */
const OVERSUBSCRIPTION = 2;

/**
 * Limits the calls of each `include` to stores. Each key counts as a call. A job that would exceed the limit must return
 * to the queue, because a job that waits would occupy a slot that other tenants need.
 */
export class CallBudget {
  readonly #now: () => number;
  readonly #budgets = new Map<string, Budget>();

  constructor({ now }: CallBudgetOptions) {
    this.#now = now;
  }

  /**
   * Takes the calls of one job. Returns 0 if the job may run now, or else the delay until it should try again. A person
   * does not wait, but the calls count.
   */
  take({ path, callsPerMinute }: MappingInclude, calls: number, reason: Reason): number {
    if (calls === 0) return 0;
    const budget = this.#budgetOf(path, callsPerMinute);
    const { debtMs } = budget.bucket;
    // A job may need more calls than there are left, or else small jobs would keep a large one waiting. The next jobs then
    // wait longer.
    if (debtMs < 0 || reason === 'manual') {
      budget.bucket.take(calls);
      return 0;
    }
    const now = this.#now();
    const soonest = now + Math.max(MIN_RETRY_MS, Math.min(MAX_RETRY_MS, debtMs));
    const next = budget.assignedUntil + (calls * 1000) / perSecondOf(budget) / OVERSUBSCRIPTION;
    // If the time exceeds the upper bound, start over at the lower bound, so that the retries stay spread.
    const at = next > now + MAX_RETRY_MS ? soonest : Math.max(soonest, next);
    budget.assignedUntil = at;
    return at - now;
  }

  #budgetOf(path: string, callsPerMinute: number): Budget {
    const known = this.#budgets.get(path);
    if (known !== undefined) return Object.assign(known, { callsPerMinute });
    const bucket = new TokenBucket({
      perSecond: () => perSecondOf(budget),
      burst: () => budget.callsPerMinute * BURST_SHARE,
      clock: { now: this.#now },
    });
    const budget: Budget = { callsPerMinute, bucket, assignedUntil: 0 };
    this.#budgets.set(path, budget);
    return budget;
  }
}

interface Budget {
  callsPerMinute: number;
  readonly bucket: TokenBucket;
  /** The latest assigned retry time. */
  assignedUntil: number;
}

function perSecondOf({ callsPerMinute }: Pick<Budget, 'callsPerMinute'>): number {
  return (callsPerMinute * (1 - BURST_SHARE)) / 60;
}

/** Returns the number of calls that a run may need. Other runs may already have made some of them. */
export function callsOf(mapping: Mapping): number {
  return refsOf(mapping).size + searchesOf(mapping).length;
}
