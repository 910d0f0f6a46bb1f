import type { AuditStore } from '../audit/store.ts';
import type { Workloads } from '../cluster/workloads.ts';
import { type Clock, isYetToCome } from '../core/clock.ts';
import type { Tracer } from '../core/tracer.ts';
import type { OnRestartFailure } from './failures.ts';
import { untilDue } from './groups.ts';
import { type IsRestartWanted, type RestartOptions, runPass } from './pass.ts';
import { type Rolled, readRestarts } from './pending.ts';

export interface RestartsDeps {
  readonly audit: Pick<AuditStore, 'list' | 'append' | 'exclusively'>;
  readonly workloads: Workloads;
  /** This instance, and those that it was before. */
  readonly instances: readonly string[];
  readonly clock: Clock;
  readonly tracer?: Tracer;
  readonly onFailure?: OnRestartFailure | undefined;
  /** Left out: each is. */
  readonly isWanted?: IsRestartWanted | undefined;
}

export interface Restarts {
  /**
   * Rolls what is due, as far as the budget goes. `nextMs`: when to look again; left out: nothing is pending. What
   * the cluster does is recorded and tried again; @throws AppError AUDIT_UNAVAILABLE.
   */
  run(options: RestartOptions): Promise<{ readonly nextMs?: number }>;
}

const DAY = 24 * 60 * 60_000;

/** A restart that a bridge was down for longer than this is no longer of use to anybody. */
const HORIZON_MS = 7 * DAY;

/** A roll that takes longer is stuck, and holds up no others. */
const ROLL_MS = 10 * 60_000;

/**
 * Restarts of workloads after changes of their Secrets. All that it knows stands in the audit and in the pod
 * templates, so that it may end between any two steps, and run in any replica.
 */
export function createRestarts({
  audit,
  workloads,
  instances,
  clock,
  tracer,
  onFailure,
  isWanted,
}: RestartsDeps): Restarts {
  let floor = 0;
  const ended = new Set<string>();
  const late = createLateRolls();

  const read = async () => {
    const now = clock.now();
    const found = await readRestarts(audit, {
      floor,
      since: now - HORIZON_MS,
      rollsSince: now - ROLL_MS,
      instances,
    });
    floor = found.floor;
    return { ...found, rolls: late.without(found.rolls, now) };
  };

  return {
    async run(options) {
      const waiting = untilFirstDue(await read(), options.windowMs, clock.now());
      if (waiting === undefined) {
        ended.clear();
        return {};
      }
      if (waiting > 0) return { nextMs: waiting };
      // Two at once would share one budget, each as if it were alone.
      return audit.exclusively('restart', async () => {
        const records = await read();
        const parts = { audit, workloads, clock, ended, onFailure, isWanted, ...(tracer && { tracer }) };
        const nextMs = await runPass(parts, options, records);
        return nextMs === undefined ? {} : { nextMs };
      });
    },
  };
}

/** Until the first of them is due; `undefined`: there is none. */
function untilFirstDue(
  { pending }: Awaited<ReturnType<typeof readRestarts>>,
  windowMs: number,
  now: number,
): number | undefined {
  if (pending.length === 0) return undefined;
  return Math.max(0, Math.min(...pending.map(({ at }) => untilDue(at, windowMs, now))));
}

/**
 * Rolls at a time that is yet to come were made before the clock was set back. Their time is counted from when they were
 * first seen so: by the clock they would hold up others for as much longer as it was set back.
 */
function createLateRolls() {
  let seen = new Map<string, number>();
  return {
    without(rolls: readonly Rolled[], now: number): readonly Rolled[] {
      const before = seen;
      seen = new Map();
      return rolls.filter(({ namespace, workload, at }) => {
        if (!isYetToCome(at, now)) return true;
        const name = JSON.stringify([namespace, workload, at]);
        const since = before.get(name) ?? now;
        seen.set(name, since);
        return Math.abs(now - since) <= ROLL_MS;
      });
    },
  };
}
