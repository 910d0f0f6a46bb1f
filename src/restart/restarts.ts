import type { AuditStore } from '../audit/store.ts';
import { isInFuture } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import { smallest } from '../core/lists.ts';
import { type CycleDeps, type RestartOptions, runCycle } from './cycle.ts';
import { msUntilDue } from './groups.ts';
import { checkOutcomes, type Rollout, readRestarts, restartOutcome } from './pending.ts';

export interface RestartsDeps extends CycleDeps {
  readonly audit: Pick<AuditStore, 'list' | 'append' | 'exclusively' | 'storedRecords' | 'head'>;
  /** The current name of the instance, and its former names. */
  readonly instances: readonly string[];
}

export interface Restarts {
  /**
   * Restarts the workloads whose restart is due, within the budget. `nextMs` is the delay until the next run, and is
   * absent if no restart is pending. Cluster errors are recorded, and the restarts are retried. @throws AppError
   * AUDIT_UNAVAILABLE
   */
  run(options: RestartOptions): Promise<{ readonly nextMs?: number }>;
}

const DAY = 24 * 60 * 60_000;

/**
 * The maximum age of a pending restart. Older ones are dropped, for example after secretbridge was down for a long
 * time.
 */
export const HORIZON_MS = 7 * DAY;

/** The maximum time of a rollout. After this time the rollout counts as stuck and no longer uses the budget. */
const ROLLOUT_TIMEOUT_MS = 10 * 60_000;

/**
 * Restarts workloads after their Secrets change. All state is in the audit and in the pod templates. So a run may stop
 * at any point, and another replica can continue.
 */
export function createRestarts(deps: RestartsDeps): Restarts {
  const { audit, instances, clock } = deps;
  let floor = 0;
  const completed = new Set<string>();
  const futureRollouts = createFutureRolloutFilter();

  const read = async () => {
    const now = clock.now();
    const records = await readRestarts(audit, {
      floor,
      since: now - HORIZON_MS,
      rolloutsSince: now - ROLLOUT_TIMEOUT_MS,
      instances,
    });
    floor = records.floor;
    return { ...records, rollouts: futureRollouts.without(records.rollouts, now) };
  };

  return {
    async run(options) {
      const waitMs = msUntilFirstDue(await read(), options.windowMs, clock.now());
      if (waitMs === undefined) {
        completed.clear();
        return {};
      }
      if (waitMs > 0) return { nextMs: waitMs };
      // Run one cycle at a time, because two concurrent cycles would each use the whole budget.
      return audit.exclusively('restart', async () => {
        const records = await read();
        const { pending, doubtful } = await checkOutcomes(audit, records.pending);
        const code = 'AUDIT_ALTERED' satisfies ErrorCode;
        const now = clock.now();
        if (doubtful.length > 0)
          await audit.append(doubtful.map((restart) => restartOutcome(restart, now, { code })));
        const nextMs = await runCycle(deps, options, { ...records, pending, completed });
        return nextMs === undefined ? {} : { nextMs };
      });
    },
  };
}

/** Returns the milliseconds until the first restart is due. Returns undefined if no restart is pending. */
function msUntilFirstDue(
  { pending }: Awaited<ReturnType<typeof readRestarts>>,
  windowMs: number,
  now: number,
): number | undefined {
  if (pending.length === 0) return undefined;
  return Math.max(0, smallest(pending.map(({ changedAt }) => msUntilDue(changedAt, windowMs, now))));
}

/**
 * Creates a filter for rollouts whose start time is in the future, which is possible after the clock was set back.
 * Their timeout counts from the time when this process first found them. Otherwise they would use the budget until the
 * clock has reached their start time.
 */
function createFutureRolloutFilter() {
  let firstSeen = new Map<string, number>();
  return {
    without(rollouts: readonly Rollout[], now: number): readonly Rollout[] {
      const previouslySeen = firstSeen;
      firstSeen = new Map();
      return rollouts.filter(({ namespace, workload, startedAt }) => {
        if (!isInFuture(startedAt, now)) return true;
        const name = JSON.stringify([namespace, workload, startedAt]);
        const since = previouslySeen.get(name) ?? now;
        firstSeen.set(name, since);
        return Math.abs(now - since) <= ROLLOUT_TIMEOUT_MS;
      });
    },
  };
}
