import type { AuditStore } from '../../audit/store.ts';
import { unlessStopped } from '../../core/abort.ts';
import { type Clock, isInFuture } from '../../core/clock.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import { largest, smallest } from '../../core/lists.ts';
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
import { desiredIn } from '../config-snapshot.ts';
import type { Configuration } from '../configuration.ts';
import { lastFullSweepAt, lastOk } from '../status.ts';
import type { StepJobs } from '../step-jobs.ts';
import type { SourceAges } from '../sweep/source-ages.ts';
import type { TargetStates } from '../target-states.ts';
import type { Triggers } from '../triggers.ts';
import { logOutcome } from './log-outcome.ts';
import { createMemorySemaphore, type MemorySemaphore, withMemoryLease } from './memory-semaphore.ts';
import { contestedState, type Run, stateAfter, stateWithoutOutcome } from './state-after.ts';
import type { SyncContexts } from './sync-contexts.ts';

export interface TargetRunnerDeps {
  readonly configuration: Pick<Configuration, 'snapshot' | 'stillWants' | 'whenCurrent'>;
  readonly states: TargetStates;
  readonly triggers: Pick<Triggers, 'requestedAt'>;
  readonly contexts: SyncContexts<SyncContext>;
  readonly audit: Pick<AuditStore, 'list'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer?: Tracer | undefined;
  readonly random: () => number;
  readonly ages: Pick<SourceAges, 'noteRun'>;
  readonly steps: Pick<StepJobs, 'addDeletion' | 'addRestart'>;
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

export interface RunOptions {
  readonly signal: AbortSignal;
  /** Wraps the context that the run uses. */
  readonly wrap: (context: SyncContext) => SyncContext;
  /** Called when the last write of the job has ended, before its outcome is recorded. */
  readonly onWritten?: () => void;
}

type WriteHooks = Omit<RunOptions, 'wrap'>;

/** A new configuration normally reaches all replicas within two minutes. */
const ROLLOUT_MS = 5 * 60_000;

/** Runs the jobs of targets. */
export class TargetRunner {
  readonly #deps: TargetRunnerDeps;
  readonly #memory: MemorySemaphore;

  constructor(deps: TargetRunnerDeps) {
    this.#deps = deps;
    this.#memory = createMemorySemaphore({ onAcquired: deps.onLargeValues });
  }

  /** Runs the job of a target, for each mapping that wants it. Returns the delay until the next run. */
  async run(target: TargetId, job: Job, { wrap, ...hooks }: RunOptions): Promise<number | undefined> {
    const { signal } = hooks;
    const { contexts, triggers } = this.#deps;
    const { snapshot } = this.#deps.configuration;
    const retries: number[] = [];
    const start = this.#start();
    let remaining = snapshot().forTarget(target);
    try {
      const requestedAt = triggers.requestedAt(target, job.requestId);
      const context = wrap(await contexts.get(job, this.#readAfter(remaining), requestedAt));
      // The configuration may have changed while the context was opened.
      await this.#deps.configuration.whenCurrent();
      remaining = snapshot().forTarget(target);
      for (const desired of remaining) {
        if (signal.aborted) return 0;
        const ownHooks = remaining.length === 1 ? hooks : { signal };
        const delayMs = await this.#runOne(this.#begin(desired, job), context, ownHooks);
        remaining = remaining.filter((other) => other !== desired);
        if (delayMs !== undefined) retries.push(delayMs);
      }
    } catch (thrown) {
      const error = toAppError(thrown);
      if (!signal.aborted && error.code !== 'INTERRUPTED')
        for (const desired of remaining)
          this.#noteWithoutOutcome({ ...this.#begin(desired, job), ...start }, error);
      throw thrown;
    }
    return retries.length === 0 ? undefined : smallest(retries);
  }

  #start(): Pick<Run, 'startedAt' | 'freshAt'> {
    const { clock, states } = this.#deps;
    return { startedAt: clock.now(), freshAt: states.steadyClock.now() };
  }

  #begin(desired: DesiredTarget, job: Job): Run {
    return {
      desired,
      job,
      before: this.#deps.states.get(desired.mapping.name, desired.id),
      ...this.#start(),
    };
  }

  /**
   * Returns the time after which a run must read its values: the end of the target's last run. Values that were read
   * before this time may be older than the content that the last run wrote.
   */
  #readAfter(desired: readonly DesiredTarget[]): number {
    const { states, clock } = this.#deps;
    const ended = desired.map(({ mapping, id }) => states.get(mapping.name, id)?.endedAt ?? 0);
    // A time in the future shows that the clock was set back. Ignore such a time, because no value could be read after
    // it.
    const now = clock.now();
    return Math.max(0, largest(ended.filter((at) => !isInFuture(at, now))));
  }

  async #runOne(run: Run, context: SyncContext, options: WriteHooks): Promise<number | undefined> {
    const postponedMs = run.job.reason === 'drift' ? await this.#postponeRepair(run, context) : 0;
    if (postponedMs > 0) return postponedMs;
    const outcome = await this.#reconcile(run, context, options);
    return this.#note(run, outcome);
  }

  /** Returns how long a repair of drift must wait; 0 for not at all. */
  async #postponeRepair(run: Run, context: SyncContext): Promise<number> {
    const { mapping, id } = run.desired;
    if (mapping.onDrift === 'repair' || mapping.onConflict !== 'refuse') {
      const { audit, clock } = this.#deps;
      const until = run.before?.contestedUntil;
      if (until !== undefined && run.startedAt < until) return until - run.startedAt;
      if (until === undefined && (await isContested(audit, id, clock, instancesOf(context))))
        return this.#noteContested(run, context);
    }
    return this.#otherConfigWait(run);
  }

  #reconcile(run: Run, context: SyncContext, { signal, onWritten }: WriteHooks): Promise<Outcome> {
    const { desired, job } = run;
    const { tracer = noTracer } = this.#deps;
    const { mapping, id, error } = desired;
    const { reason, requestId } = job;
    let isWriting = false;
    const options: ReconcileOptions = {
      drift: reason === 'manual' ? 'repair' : mapping.onDrift,
      isNew: this.#isNeverWritten(desired),
      isStillDesired: () => {
        // No write begins after the process was told to end.
        signal.throwIfAborted();
        isWriting = this.#deps.configuration.stillWants(desired);
        // The rules or limits may have changed since the run began. Then the next run records the refusal.
        if (isWriting && context.forbiddenTarget?.(mapping, id) !== undefined)
          throw new AppError('INTERRUPTED', { detail: 'the configuration has changed' });
        return isWriting;
      },
      ...(onWritten && { onWritten }),
    };
    const work = async (): Promise<Outcome> => {
      if (error !== undefined) return recordUndecidable(mapping, id, error, context);
      using lease = this.#memory.open();
      return await reconcile(mapping, id, withMemoryLease(context, lease), options);
    };
    const unlessHanging = () => unlessStopped(work(), signal, { isWriting: () => isWriting });
    return tracer.span('job', { mapping: mapping.name, ...id, reason }, unlessHanging, {
      requestId,
      resultAttributes: (outcome) => ({
        outcome: outcome.kind,
        ...(outcome.error && { code: outcome.error.code }),
      }),
    });
  }

  /**
   * Stores the outcome. Adds the deletion step, a restart or an orphan check if the outcome needs it. Returns the delay
   * until the next run.
   */
  #note(run: Run, outcome: Outcome): number | undefined {
    const { states, clock, steps, ages, logger, onOutcome, onOrphan } = this.#deps;
    const { mapping } = run.desired;
    const endedAt = clock.now();
    onOutcome(outcome, (endedAt - run.startedAt) / 1_000);
    logOutcome(logger, outcome, run.job.requestId, {
      before: run.before?.error?.code,
      reason: run.job.reason,
    });
    const state = stateAfter(outcome, run, run.before && this.#lastOk(run), endedAt);
    // The conflict ends only when another run finds the target unchanged, so run again.
    const delayMs =
      this.#nextRunMs(run, outcome, state.failures) ??
      (state.contestedUntil === undefined ? undefined : mapping.refreshMs);
    states.note(delayMs === undefined ? state : { ...state, retryAt: endedAt + delayMs }, run.freshAt);
    if (outcome.proposal !== undefined) steps.addDeletion();
    if (outcome.restarts) steps.addRestart();
    if (outcome.kind === 'created' && !this.#isDesired(run.desired)) onOrphan();
    // Skip pinned targets: a pinned version does not show the age of the current secret.
    if (outcome.pinned === undefined && outcome.sources !== undefined) ages.noteRun(mapping, outcome.sources);
    return delayMs;
  }

  #nextRunMs({ desired: { mapping } }: Run, { kind, error }: Outcome, failures: number): number | undefined {
    const { code, retryAfterMs } = error ?? {};
    const result = {
      kind,
      ...(code === undefined ? {} : { code }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
    return nextRun(result, { failures, refreshMs: mapping.refreshMs, random: this.#deps.random });
  }

  #isDesired({ mapping, id }: DesiredTarget): boolean {
    return (
      desiredIn(this.#deps.configuration.snapshot(), { mapping: mapping.name, target: id }) !== undefined
    );
  }

  /**
   * Whether the target was added while the service was running, and is not written yet. The audit may contain an
   * earlier Secret with the same name. Even then it is not drift if the new Secret does not exist.
   */
  #isNeverWritten(desired: DesiredTarget): boolean {
    const { configuration, states } = this.#deps;
    const { mapping, id } = desired;
    const last = states.get(mapping.name, id);
    const wasWritten =
      last?.okAt !== undefined || last?.drifted || states.inputs(id).ownedBy === mapping.name;
    return configuration.snapshot().changeOf(desired)?.isNew === true && !wasWritten;
  }

  /**
   * Returns how long a Secret must not be repaired after a replica with another configuration wrote it. That
   * configuration may be newer and reach this replica soon. If the Secret were repaired before then, pods would restart
   * twice. If the newest configuration is invalid in this replica, the wait continues.
   */
  #otherConfigWait({ desired: { mapping, id }, startedAt }: Run): number {
    const { states, isBehind } = this.#deps;
    const other = states.byOtherConfig(mapping.name, id);
    const version = states.meta(id)?.resourceVersion;
    if (other === undefined || version === undefined || other.resourceVersion !== version) return 0;
    return isBehind?.() ? ROLLOUT_MS : Math.min(ROLLOUT_MS, other.endedAt + ROLLOUT_MS - startedAt);
  }

  /**
   * Returns the time when the target last matched its sources before it began to fail, according to runs and sweeps.
   */
  #lastOk({ desired: { mapping }, before }: Run): number | undefined {
    const { configuration, states } = this.#deps;
    const sweeps = configuration
      .snapshot()
      .shardsOf(mapping)
      .map((shard) => states.sweepState(shard));
    return lastOk(before, lastFullSweepAt(sweeps));
  }

  /**
   * Stores a failed state for a run that ended without an outcome. If the target already has an error or a hold, the
   * old state is kept.
   */
  #noteWithoutOutcome(run: Run, error: AppError): void {
    const { states, clock } = this.#deps;
    const { desired, before } = run;
    if (before?.error !== undefined) return;
    const exists = states.meta(desired.id)?.labels[LABEL.mapping] === desired.mapping.name;
    const alive = before?.alive ?? exists;
    const okAt = before === undefined && !alive ? undefined : this.#lastOk(run);
    states.note(stateWithoutOutcome(run, error, { alive, okAt, endedAt: clock.now() }), run.freshAt);
  }

  /**
   * Stores and records that a target is contested: another controller changes it as often as we repair it. The target
   * then runs only once per refresh.
   */
  async #noteContested(run: Run, { recorder }: SyncContext): Promise<number> {
    const { mapping, id } = run.desired;
    const { logger, states } = this.#deps;
    const error = new AppError('CONTESTED', { subject: formatTarget(id) });
    await recorder.recordFailure(mapping.name, id, { kind: 'refused', error });
    logger.error('two controllers compete for a target', { mapping: mapping.name, ...id, error });
    states.note(contestedState(run, error), run.freshAt);
    return mapping.refreshMs;
  }
}
