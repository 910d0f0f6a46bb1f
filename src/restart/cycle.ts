import type { Entry } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Workloads } from '../cluster/workloads.ts';
import type { Clock } from '../core/clock.ts';
import { noTracer, type Tracer } from '../core/tracer.ts';
import { createFailures, type Failures, type OnRestartFailure } from './failures.ts';
import { groupByWorkload, type WorkloadGroups } from './group-by-workload.ts';
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
import { checkRollouts, type RolloutStatus } from './rollouts.ts';

/**
 * Returns whether a mapping still restarts a workload. The workload has the format of audit records. The function is
 * also called for mappings that no longer exist.
 */
export type IsRestartConfigured = (mapping: string, workload: string) => boolean;

export interface RestartOptions {
  /**
   * The time to wait after a change. All changes within this time cause only one restart. With 0, pending restarts are
   * due immediately.
   */
  readonly windowMs: number;
  /** The maximum number of workloads that may roll out at the same time. */
  readonly atOnce: number;
  /**
   * How long a workload may be missing before its restart fails. By default, the restart is given up at once, because
   * nothing would try it again.
   */
  readonly missingMs?: number;
  readonly signal?: AbortSignal;
}

export interface CycleDeps {
  readonly audit: Pick<AuditStore, 'append'>;
  readonly workloads: Workloads;
  readonly clock: Clock;
  readonly tracer?: Tracer;
  readonly onFailure?: OnRestartFailure | undefined;
  /** By default, every pending restart counts as still configured. */
  readonly isConfigured?: IsRestartConfigured | undefined;
}

interface CycleRecords extends Pick<RestartRecords, 'pending' | 'rollouts'> {
  /** The rollouts that have completed and need no further check. The cycle adds to this set. */
  readonly completed: Set<string>;
}

/** The delay before the next check of a running rollout. */
const ROLLOUT_POLL_MS = 2_000;
/** The delay before the next cycle if this cycle was interrupted or the cluster does not answer. */
const REMAINDER_MS = 10_000;
/** The time within which a configuration change reaches every replica. */
const CONFIG_PROPAGATION_MS = 2 * 60_000;

/**
 * Runs one cycle over all pending restarts. Returns the milliseconds until the next cycle, or undefined if no restart
 * is pending.
 */
export function runCycle(
  deps: CycleDeps,
  options: RestartOptions,
  records: CycleRecords,
): Promise<number | undefined> {
  return new RestartCycle(deps, options).run(records);
}

class RestartCycle {
  readonly #deps: CycleDeps;
  readonly #options: RestartOptions;
  readonly #call: { readonly signal?: AbortSignal };
  readonly #failures: Failures;
  /** The workloads that have no more pending restarts. */
  readonly #completed = new Set<string>();
  #nextMs: number | undefined;

  constructor(deps: CycleDeps, options: RestartOptions) {
    const { clock, onFailure } = deps;
    const { signal, missingMs = 0, windowMs } = options;
    this.#deps = deps;
    this.#options = options;
    this.#call = signal === undefined ? {} : { signal };
    this.#failures = createFailures({
      clock,
      record: (entries) => this.#record(entries),
      scheduleNext: (ms) => this.#scheduleNext(ms),
      onFailure,
      signal,
      missingMs: missingMs === 0 ? 0 : windowMs + missingMs,
    });
  }

  async run({ pending, rollouts, completed }: CycleRecords): Promise<number | undefined> {
    const { workloads, clock } = this.#deps;
    const now = clock.now();
    const status = await checkRollouts(rollouts, { workloads, completed, call: this.#call });
    const { groups, workloadsBySelector } = await groupByWorkload(
      await this.#dropUnconfigured(pending, now),
      {
        workloads,
        failures: this.#failures,
        call: this.#call,
      },
    );
    for (const group of groups) {
      const wait = msUntilDue(oldestChange(group), this.#options.windowMs, now);
      if (wait > 0) this.#scheduleNext(wait);
      else if (this.#failures.isClusterDown() || this.#options.signal?.aborted)
        this.#scheduleNext(REMAINDER_MS);
      else if (!(await this.#restartWorkload(group, status, workloadsBySelector))) break;
    }
    for (const [pendingRestart, keys] of workloadsBySelector)
      if (keys.every((key) => this.#completed.has(key)))
        await this.#record([
          restartOutcome(pendingRestart, clock.now(), { counts: { workloads: keys.length } }),
        ]);
    return this.#nextMs;
  }

  #scheduleNext(ms: number): void {
    this.#nextMs = Math.min(this.#nextMs ?? ms, Math.max(0, ms));
  }

  async #record(entries: readonly Entry[]): Promise<void> {
    if (entries.length > 0) await this.#deps.audit.append(entries);
  }

  /**
   * Drops pending restarts that are no longer configured in their mapping. Waits for some time first, because another
   * replica may already have a newer configuration that contains them.
   */
  async #dropUnconfigured(
    pending: readonly PendingRestart[],
    now: number,
  ): Promise<readonly PendingRestart[]> {
    const { isConfigured = () => true } = this.#deps;
    const unconfigured = pending.filter(
      ({ changedAt, intent: { mapping = '', note = '' } }) =>
        now - changedAt > CONFIG_PROPAGATION_MS && !isConfigured(mapping, note),
    );
    await this.#record(
      unconfigured.map((pendingRestart) => restartOutcome(pendingRestart, now, { counts: { dropped: 1 } })),
    );
    return pending.filter((pendingRestart) => !unconfigured.includes(pendingRestart));
  }

  /** Restarts one workload if the budget allows. Returns whether to continue with the next workload. */
  async #restartWorkload(
    group: WorkloadGroup,
    { rolling, workloads: liveWorkloads, isRecorded }: RolloutStatus,
    bySelector: WorkloadGroups['workloadsBySelector'],
  ): Promise<boolean> {
    const { workloads, clock } = this.#deps;
    const { id } = group;
    const key = keyOf(id);
    const recordRestart = (rolled: 0 | 1): Promise<void> => {
      if (rolled === 1) rolling.add(key);
      return this.#recordRestart(group, rolled, bySelector);
    };
    const listed = group.live ?? liveWorkloads.get(key);
    const answer =
      listed === undefined ? await toResult(() => workloads.read(id, this.#call)) : { value: listed };
    if ('error' in answer) {
      await this.#failures.recordFailure(group.pending, answer.error);
      return true;
    }
    const live = answer.value;
    if (live === undefined) {
      await this.#recordMissingWorkload(group, bySelector);
      return true;
    }
    const annotations = missingAnnotations(live, group.pending);
    if (Object.keys(annotations).length === 0) {
      // Another process, or this one before a crash, has already restarted the workload. If the audit already contains
      // its rollout, do not count it twice.
      const isNew = group.pending.some(({ intent }) => !isRecorded(id, intent.after));
      await recordRestart(live.rolling && isNew ? 1 : 0);
      return true;
    }
    if (!rolling.has(key) && rolling.size >= this.#options.atOnce) {
      this.#scheduleNext(ROLLOUT_POLL_MS);
      return false;
    }
    const startedAt = clock.now();
    const written = await toResult(() => workloads.annotatePods(live, annotations, this.#call));
    this.#traceRestart(group, written, clock.now() - startedAt);
    if ('error' in written) await this.#failures.recordFailure(group.pending, written.error);
    else if (written.value === 'missing') await this.#recordMissingWorkload(group, bySelector);
    else await recordRestart(1);
    return true;
  }

  /**
   * Records the outcomes for a workload that does not exist. If a restart names this workload, it fails. If a restart
   * has a selector, it succeeds, because the selector no longer matches the workload.
   */
  async #recordMissingWorkload(
    { id, pending }: WorkloadGroup,
    bySelector: WorkloadGroups['workloadsBySelector'],
  ): Promise<void> {
    this.#completed.add(keyOf(id));
    await this.#failures.recordMissing(pending.filter((pendingRestart) => !bySelector.has(pendingRestart)));
  }

  async #recordRestart(
    { id, pending }: WorkloadGroup,
    rolled: 0 | 1,
    bySelector: WorkloadGroups['workloadsBySelector'],
  ): Promise<void> {
    const [finishedAt, name] = [this.#deps.clock.now(), nameOf(id)];
    this.#completed.add(keyOf(id));
    await this.#record(
      pending
        .filter((pendingRestart) => !bySelector.has(pendingRestart) || !pendingRestart.restarted.has(name))
        .map((pendingRestart) =>
          bySelector.has(pendingRestart)
            ? workloadRestarted(pendingRestart, finishedAt, name, rolled)
            : restartOutcome(pendingRestart, finishedAt, { counts: { rolled } }),
        ),
    );
  }

  /** Adds a span to the trace of each request that changed one of the Secrets. */
  #traceRestart({ pending }: WorkloadGroup, answer: Result<string>, ms: number): void {
    const { tracer = noTracer } = this.#deps;
    const result = 'error' in answer ? { code: answer.error.code } : { outcome: answer.value };
    for (const { requestId, mapping, namespace, secret } of pending.map(({ intent }) => intent))
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
