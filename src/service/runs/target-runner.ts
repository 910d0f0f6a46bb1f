import type { AuditStore } from '../../audit/store.ts';
import { type Clock, isInFuture } from '../../core/clock.ts';
import { AppError, isTransient, toAppError } from '../../core/errors.ts';
import type { Mapping } from '../../core/mapping.ts';
import { formatTarget, instancesOf, type TargetId } from '../../core/target.ts';
import { noTracer, type Tracer } from '../../core/tracer.ts';
import type { Job } from '../../queue/queue.ts';
import type { SyncContext } from '../../reconcile/context.ts';
import { isContested } from '../../reconcile/latest-records.ts';
import type { Outcome } from '../../reconcile/outcome.ts';
import { type ReconcileOptions, reconcile, recordUndecidable } from '../../reconcile/reconcile.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { LABEL } from '../../sync/ownership-metadata.ts';
import { nextRun } from '../../sync/schedule.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { type ConfigSnapshot, desiredIn } from '../config-snapshot.ts';
import { lastFullSweepAt, lastOk } from '../status.ts';
import { fullRunStore } from '../sweep/shards.ts';
import type { SourceAges } from '../sweep/source-ages.ts';
import type { TargetState } from '../target-state.ts';
import { isChanged } from '../target-state.ts';
import type { TargetStates } from '../target-states.ts';
import type { Triggers } from '../triggers.ts';
import { logOutcome } from './log-outcome.ts';
import { createMemorySemaphore, withMemoryLease } from './memory-semaphore.ts';
import type { SyncContexts } from './sync-contexts.ts';

export interface TargetRunnerDeps {
  readonly snapshot: () => ConfigSnapshot;
  readonly states: TargetStates;
  readonly triggers: Pick<Triggers, 'askedAt'>;
  readonly contexts: SyncContexts<SyncContext>;
  readonly audit: Pick<AuditStore, 'list'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer?: Tracer;
  readonly random: () => number;
  readonly ages: Pick<SourceAges, 'noteRun'>;
  /** Called when a run proposes a deletion. The deletion step decides on it. */
  readonly onProposal: () => void;
  /** Called when content was written for a mapping that names workloads to restart. */
  readonly onRestart: () => void;
  /** Called when a target was created although it left the configuration during the run. */
  readonly onOrphan: () => void;
  readonly onOutcome: (outcome: Outcome, seconds: number) => void;
  /** Called with the size of large values that a run has read. */
  readonly onLargeValues?: ((bytes: number) => void) | undefined;
  /**
   * Whether the newest configuration is invalid in this replica, while other replicas may use it. Defaults to false.
   */
  readonly isBehind?: (() => boolean) | undefined;
}

/** Delay until the retry of a run that ended without an outcome. */
const NO_OUTCOME_RETRY_MS = 60_000;
/** A new configuration normally reaches all replicas within two minutes. */
const ROLLOUT_MS = 5 * 60_000;

/** Runs the job of one target, for each mapping that wants it. Returns the delay until the next run. */
export type TargetRunner = (target: TargetId, job: Job, options: RunOptions) => Promise<number | undefined>;

export interface RunOptions {
  readonly signal: AbortSignal;
  /** Wraps the context that the run uses. */
  readonly wrap: (context: SyncContext) => SyncContext;
}

export function createTargetRunner(deps: TargetRunnerDeps): TargetRunner {
  const { snapshot, states, triggers, contexts, clock, tracer = noTracer } = deps;
  const memory = createMemorySemaphore({ onAcquired: deps.onLargeValues });

  return async (target, job, { signal, wrap }) => {
    let desired = snapshot().forTarget(target);
    const startedAt = clock.now();
    const freshAt = states.steadyClock.now();
    const retries: number[] = [];
    let remaining = new Set(desired);
    try {
      const context = wrap(
        await contexts.get(job, readBefore(desired), triggers.askedAt(target, job.requestId)),
      );
      // A new configuration may have become current while the context was opened.
      desired = snapshot().forTarget(target);
      remaining = new Set(desired);
      for (const desiredTarget of desired) {
        if (signal.aborted) return 0;
        const wait = await runOne(desiredTarget, job, context);
        remaining.delete(desiredTarget);
        if (wait !== undefined) retries.push(wait);
      }
    } catch (thrown) {
      const error = toAppError(thrown);
      if (!signal.aborted && error.code !== 'INTERRUPTED')
        for (const desiredTarget of remaining)
          noteNoOutcome(desiredTarget, job, { startedAt, freshAt }, error);
      throw thrown;
    }
    return retries.length === 0 ? undefined : Math.min(...retries);
  };

  /**
   * Returns the time after which a run must read its values: the end of the target's last run. Values read earlier may
   * be older than the content that the last run wrote.
   */
  function readBefore(desired: readonly DesiredTarget[]): number {
    const ended = desired.map(({ mapping, id }) => states.get(mapping.name, id)?.endedAt ?? 0);
    // A time in the future shows that the clock was set back. Ignore it, because no context is newer.
    const now = clock.now();
    return Math.max(0, ...ended.filter((at) => !isInFuture(at, now)));
  }

  async function runOne(desired: DesiredTarget, job: Job, context: SyncContext): Promise<number | undefined> {
    const { mapping, id } = desired;
    const before = states.get(mapping.name, id);
    const startedAt = clock.now();
    const freshAt = states.steadyClock.now();
    if (job.reason === 'drift' && (mapping.onDrift === 'repair' || mapping.onConflict !== 'refuse')) {
      const until = before?.contestedUntil;
      if (until !== undefined && startedAt < until) return until - startedAt;
      if (until === undefined && (await isContested(deps.audit, id, clock, instancesOf(context))))
        return noteContested(desired, job, context, { before, startedAt, freshAt });
    }
    const otherConfigWaitMs = job.reason === 'drift' ? otherConfigWait(desired, startedAt) : 0;
    if (otherConfigWaitMs > 0) return otherConfigWaitMs;
    const isNew = isNeverWritten(desired);
    const drift = job.reason === 'manual' ? 'repair' : mapping.onDrift;
    const isStillDesired = () => desiredIn(snapshot(), { mapping: mapping.name, target: id }) !== undefined;
    const options: ReconcileOptions = { drift, isNew, isStillDesired };
    const { reason, requestId } = job;
    using lease = memory.open();
    const outcome = await tracer.span(
      'job',
      { mapping: mapping.name, ...id, reason },
      () =>
        desired.error === undefined
          ? reconcile(mapping, id, withMemoryLease(context, lease), options)
          : recordUndecidable(mapping, id, desired.error, context),
      {
        requestId,
        resultAttributes: ({ kind, error }) => ({ outcome: kind, ...(error && { code: error.code }) }),
      },
    );
    const endedAt = clock.now();
    deps.onOutcome(outcome, (endedAt - startedAt) / 1_000);
    logOutcome(deps.logger, outcome, job.requestId, { before: before?.error?.code, reason: job.reason });
    const wasOkAt = before && lastOkBefore(mapping, before);
    const state = stateAfter(outcome, { job, before, wasOkAt, startedAt, endedAt, desired });
    const next = nextRun(
      { kind: outcome.kind, ...(outcome.error === undefined ? {} : errorOf(outcome.error)) },
      {
        failures: state.failures,
        refreshMs: mapping.refreshMs,
        isUnswept: fullRunStore(mapping) !== undefined,
        random: deps.random,
      },
    );
    // The conflict ends only when another run finds the target unchanged, so run again.
    const wait = next ?? (state.contestedUntil === undefined ? undefined : mapping.refreshMs);
    states.note(wait === undefined ? state : { ...state, retryAt: endedAt + wait }, freshAt);
    if (outcome.proposal !== undefined) deps.onProposal();
    if (outcome.restarts) deps.onRestart();
    if (outcome.kind === 'created' && !isStillDesired()) deps.onOrphan();
    // Skip pinned targets: a pinned version does not show the age of the current secret.
    if (outcome.pinned === undefined && outcome.sources !== undefined)
      deps.ages.noteRun(mapping, outcome.sources);
    return wait;
  }

  /**
   * Whether the target was added while the service was running, and is not written yet. The audit may contain earlier
   * Secrets with the same name, but the absence of this one is not drift.
   */
  function isNeverWritten(desired: DesiredTarget): boolean {
    const { mapping, id } = desired;
    const run = states.get(mapping.name, id);
    return (
      snapshot().changeOf(desired)?.isNew === true &&
      run?.okAt === undefined &&
      run?.drifted !== true &&
      states.inputs(id).ownedBy !== mapping.name
    );
  }

  /**
   * Returns how long a Secret must not be repaired after a replica with another configuration wrote it. That
   * configuration may be newer and reach this replica soon. A repair before that would restart pods twice. If the
   * newest configuration is invalid in this replica, the wait continues.
   */
  function otherConfigWait({ mapping, id }: DesiredTarget, now: number): number {
    const other = states.byOtherConfig(mapping.name, id);
    const version = states.meta(id)?.resourceVersion;
    if (other === undefined || version === undefined || other.resourceVersion !== version) return 0;
    return deps.isBehind?.() ? ROLLOUT_MS : Math.min(ROLLOUT_MS, other.endedAt + ROLLOUT_MS - now);
  }

  /**
   * Returns the time when the target last matched its sources before it began to fail. Sweeps count as well as runs.
   */
  function lastOkBefore(mapping: Mapping, before: TargetState | undefined): number | undefined {
    const sweeps = snapshot()
      .shardsOf(mapping)
      .map((shard) => states.sweepState(shard));
    return lastOk(before, lastFullSweepAt(sweeps));
  }

  /**
   * Stores a failed state for a run that ended without an outcome, because of an audit outage or an internal error.
   * Otherwise later sweeps would report the target as synced. An existing error or hold is kept.
   */
  function noteNoOutcome(
    { mapping, id }: DesiredTarget,
    job: Job,
    { startedAt, freshAt }: RunStart,
    error: AppError,
  ): void {
    const before = states.get(mapping.name, id);
    if (before?.error !== undefined) return;
    const alive = before?.alive ?? states.meta(id)?.labels[LABEL.mapping] === mapping.name;
    const okAt = before === undefined && !alive ? undefined : lastOkBefore(mapping, before);
    const endedAt = clock.now();
    states.note(
      {
        ...before,
        mapping: mapping.name,
        target: id,
        requestId: job.requestId,
        startedAt,
        endedAt,
        kind: 'failed',
        error: error.toJSON(),
        person: false,
        failures: 0,
        // The queue retries the job. This time matters only if the queue loses the job.
        retryAt: endedAt + NO_OUTCOME_RETRY_MS,
        ...(okAt === undefined ? {} : { okAt }),
        // A previous process may have held the target, and the brake must then count it.
        ...(before === undefined ? { undecided: true } : {}),
        alive,
        keys: [],
      },
      freshAt,
    );
  }

  /**
   * Stores and records that a target is contested: another controller changes it as often as we repair it. The target
   * then runs only once per refresh.
   */
  async function noteContested(
    desired: DesiredTarget,
    job: Job,
    { recorder }: SyncContext,
    { before, startedAt, freshAt }: RunStart & { readonly before: TargetState | undefined },
  ): Promise<number> {
    const { mapping, id } = desired;
    const error = new AppError('CONTESTED', { subject: formatTarget(id) });
    await recorder.recordFailure(mapping.name, id, { kind: 'refused', error });
    deps.logger.error('two controllers compete for a target', { mapping: mapping.name, ...id, error });
    states.note(
      {
        ...(before ?? { okAt: startedAt }),
        mapping: mapping.name,
        target: id,
        requestId: job.requestId,
        startedAt,
        endedAt: startedAt,
        kind: 'refused',
        error: error.toJSON(),
        person: true,
        failures: 1,
        alive: true,
        contestedUntil: startedAt + mapping.refreshMs,
        retryAt: startedAt + mapping.refreshMs,
        keys: [],
      },
      freshAt,
    );
    return mapping.refreshMs;
  }
}

interface RunStart {
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** The start by the steady clock. */
  readonly freshAt: number;
}

interface RunDetails {
  readonly job: Job;
  readonly before: TargetState | undefined;
  readonly wasOkAt: number | undefined;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly desired: DesiredTarget;
}

function stateAfter(
  outcome: Outcome,
  { job, before, wasOkAt, startedAt, endedAt, desired }: RunDetails,
): TargetState {
  const { kind, error, alive, resourceVersion, drifted, proposal, keys, pinned } = outcome;
  const certificateExpiresAt =
    outcome.certificateExpiresAt ?? (isTls(desired) ? before?.certificateExpiresAt : undefined);
  const isOk = error === undefined;
  const okAt = isOk ? startedAt : wasOkAt;
  // The conflict has not ended while runs still have something to repair.
  const isContestOngoing = before?.contestedUntil !== undefined && kind !== 'unchanged';
  return {
    mapping: desired.mapping.name,
    target: desired.id,
    requestId: job.requestId,
    startedAt,
    endedAt,
    kind,
    ...(isOk ? {} : { error: error.toJSON() }),
    person: !isOk && !isTransient(error.code),
    failures: isOk ? 0 : (before?.failures ?? 0) + 1,
    ...(okAt === undefined ? {} : { okAt }),
    // If the run could not read the cluster, keep the previous value.
    alive: alive || (error?.code === 'CLUSTER_UNAVAILABLE' && before?.alive === true),
    ...(drifted ? { drifted } : {}),
    ...(isContestOngoing ? { contestedUntil: endedAt + desired.mapping.refreshMs } : {}),
    // A target that is already held stays held, instead of proposed, until the deletion step decides again.
    ...(proposal === undefined || (before?.kind === 'held' && !before.proposed) ? {} : { proposed: true }),
    ...(pinned === undefined ? {} : { pinned }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(certificateExpiresAt === undefined ? {} : { certificateExpiresAt }),
    // Held changes and manual runs need all keys. Otherwise keep only changed ones, because a target may have hundreds
    // of keys.
    keys: kind === 'held' || job.reason === 'manual' ? keys : keys.filter(isChanged),
  };
}

function isTls({ mapping }: DesiredTarget): boolean {
  return mapping.target.type === 'kubernetes.io/tls';
}

function errorOf({ code, retryAfterMs }: AppError) {
  return { code, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
