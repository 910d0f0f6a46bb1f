import type { Entry } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Workloads } from '../cluster/workloads.ts';
import type { Clock } from '../core/clock.ts';
import { noTracer, type Tracer } from '../core/tracer.ts';
import { createFailures, type OnRestartFailure } from './failures.ts';
import { groupByWorkload } from './group-by-workload.ts';
import {
  keyOf,
  missingAnnotations,
  msUntilDue,
  nameOf,
  oldestChange,
  type Result,
  toResult,
  type WorkloadGroup,
} from './groups.ts';
import { type PendingRestart, type RestartRecords, restartOutcome, workloadRestarted } from './pending.ts';
import { checkRollouts } from './rollouts.ts';

/**
 * Whether a mapping still restarts a workload. The workload has the format of audit records. Also called for mappings
 * that no longer exist.
 */
export type IsRestartConfigured = (mapping: string, workload: string) => boolean;

export interface RestartOptions {
  /** All changes within this time cause only one restart. With 0, all pending restarts are due. */
  readonly windowMs: number;
  /** The maximum number of workloads that may roll out at the same time. */
  readonly atOnce: number;
  readonly signal?: AbortSignal;
}

export interface CycleDeps {
  readonly audit: Pick<AuditStore, 'append'>;
  readonly workloads: Workloads;
  readonly clock: Clock;
  readonly tracer?: Tracer;
  /** Rollouts that have completed and need no further check. */
  readonly completed: Set<string>;
  readonly onFailure?: OnRestartFailure | undefined;
  readonly isConfigured?: IsRestartConfigured | undefined;
}

/** The delay before the next check of a running rollout. */
const ROLLOUT_POLL_MS = 2_000;
/** The delay before the next cycle if this one was interrupted or the cluster does not answer. */
const REMAINDER_MS = 10_000;
/** The time within which a configuration change reaches every replica. */
const CONFIG_PROPAGATION_MS = 2 * 60_000;

/**
 * Runs one cycle over all pending restarts. Returns the milliseconds until the next cycle, or undefined if no restart
 * is pending.
 */
export async function runCycle(
  { audit, workloads, clock, completed, onFailure, tracer = noTracer, isConfigured = () => true }: CycleDeps,
  { windowMs, atOnce, signal }: RestartOptions,
  { pending, rollouts }: RestartRecords,
): Promise<number | undefined> {
  const call = signal === undefined ? {} : { signal };
  const now = clock.now();
  let nextMs: number | undefined;
  const scheduleNext = (ms: number): void => {
    nextMs = Math.min(nextMs ?? ms, Math.max(0, ms));
  };
  const record = async (entries: readonly Entry[]): Promise<void> => {
    if (entries.length > 0) await audit.append(entries);
  };
  const failures = createFailures({ clock, record, scheduleNext, onFailure, signal });

  const {
    rolling,
    workloads: liveWorkloads,
    isRecorded,
  } = await checkRollouts(rollouts, { workloads, completed, call });
  const { groups, workloadsBySelector } = await groupByWorkload(await dropUnconfigured(), {
    workloads,
    failures,
    call,
  });
  /** Workloads that have no more pending restarts. */
  const completedWorkloads = new Set<string>();
  for (const group of groups) {
    const wait = msUntilDue(oldestChange(group), windowMs, now);
    if (wait > 0) scheduleNext(wait);
    else if (failures.isClusterDown() || signal?.aborted) scheduleNext(REMAINDER_MS);
    else if (!(await restartWorkload(group))) break;
  }
  for (const [pendingRestart, keys] of workloadsBySelector)
    if (keys.every((key) => completedWorkloads.has(key)))
      await record([restartOutcome(pendingRestart, clock.now(), { counts: { workloads: keys.length } })]);
  return nextMs;

  /**
   * Closes restarts that the mapping no longer configures. Waits first, because another replica may already have a
   * newer configuration that still requests them.
   */
  async function dropUnconfigured(): Promise<readonly PendingRestart[]> {
    const unconfigured = pending.filter(
      ({ changedAt, intent: { mapping = '', note = '' } }) =>
        now - changedAt > CONFIG_PROPAGATION_MS && !isConfigured(mapping, note),
    );
    await record(
      unconfigured.map((pendingRestart) => restartOutcome(pendingRestart, now, { counts: { dropped: 1 } })),
    );
    return pending.filter((pendingRestart) => !unconfigured.includes(pendingRestart));
  }

  /** Restarts one workload if the budget allows. Returns whether to continue with the next workload. */
  async function restartWorkload(group: WorkloadGroup): Promise<boolean> {
    const { id } = group;
    const listed = group.live ?? liveWorkloads.get(keyOf(id));
    const answer = listed === undefined ? await toResult(() => workloads.read(id, call)) : { value: listed };
    if ('error' in answer) {
      await failures.recordFailure(group.pending, answer.error);
      return true;
    }
    const live = answer.value;
    if (live === undefined) {
      await recordMissingWorkload(group);
      return true;
    }
    const annotations = missingAnnotations(live, group.pending);
    if (Object.keys(annotations).length === 0) {
      // A crashed or other process has already restarted the workload. If its rollout is recorded, do not count it
      // twice.
      const isNew = group.pending.some(({ intent }) => !isRecorded(id, intent.after));
      await recordRestart(group, live.rolling && isNew ? 1 : 0);
      return true;
    }
    if (!rolling.has(keyOf(id)) && rolling.size >= atOnce) {
      scheduleNext(ROLLOUT_POLL_MS);
      return false;
    }
    const startedAt = clock.now();
    const written = await toResult(() => workloads.annotatePods(live, annotations, call));
    traceRestart(group, written, clock.now() - startedAt);
    if ('error' in written) await failures.recordFailure(group.pending, written.error);
    else if (written.value === 'missing') await recordMissingWorkload(group);
    else await recordRestart(group, 1);
    return true;
  }

  /**
   * Handles a workload that does not exist. Restarts that name it fail. Restarts with a selector succeed, because the
   * selector no longer matches it.
   */
  async function recordMissingWorkload({ id, pending: requests }: WorkloadGroup): Promise<void> {
    completedWorkloads.add(keyOf(id));
    await failures.recordMissing(
      requests.filter((pendingRestart) => !workloadsBySelector.has(pendingRestart)),
    );
  }

  async function recordRestart({ id, pending: requests }: WorkloadGroup, rolled: 0 | 1): Promise<void> {
    const [finishedAt, name] = [clock.now(), nameOf(id)];
    completedWorkloads.add(keyOf(id));
    if (rolled === 1) rolling.add(keyOf(id));
    await record(
      requests
        .filter(
          (pendingRestart) => !workloadsBySelector.has(pendingRestart) || !pendingRestart.restarted.has(name),
        )
        .map((pendingRestart) =>
          workloadsBySelector.has(pendingRestart)
            ? workloadRestarted(pendingRestart, finishedAt, name, rolled)
            : restartOutcome(pendingRestart, finishedAt, { counts: { rolled } }),
        ),
    );
  }

  /** Adds a span to the trace of each request that changed one of the Secrets. */
  function traceRestart({ pending: requests }: WorkloadGroup, answer: Result<string>, ms: number): void {
    const result = 'error' in answer ? { code: answer.error.code } : { outcome: answer.value };
    for (const { requestId, mapping, namespace, secret } of requests.map(({ intent }) => intent))
      tracer.recordSpan(
        'restart',
        {
          ...(mapping && { mapping }),
          ...(namespace && { namespace }),
          ...(secret && { secret }),
          ...result,
        },
        ms,
        requestId,
      );
  }
}
