import { randomUUID } from 'node:crypto';
import { type AppError, toAppError } from '../core/errors.ts';
import { createCoalescer } from '../core/serial-executor.ts';
import type { SubmitHints } from '../events/hint.ts';
import type { QueueHealth } from '../queue/queue.ts';
import type { Outcome } from '../reconcile/outcome.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import type { AuditHealth } from './audit-health.ts';
import type { ConfigChange, ConfigSnapshot, SnapshotChange } from './config-snapshot.ts';
import { createIntervals } from './intervals.ts';
import type { Loops } from './liveness/loops.ts';
import { createRecovery } from './recovery.ts';
import { startJobs } from './runs/start-jobs.ts';
import type { ServiceParts } from './service-parts.ts';
import { carryOverSweeps } from './sweep/carry-over.ts';
import type { SourceAges } from './sweep/source-ages.ts';
import type { TargetState } from './target-state.ts';
import type { TargetStates } from './target-states.ts';
import { createTriggerParts, type TriggerParts } from './trigger-parts.ts';
import { createWatchErrors, type WatchErrors } from './watch/watch-errors.ts';
import { isSelected } from './watch/watches.ts';
import { createWorkerParts, type WorkerParts } from './worker-parts.ts';

/** Interval of cheap periodic tasks. It is short, so that it hardly delays sweeps with a short interval. */
const TICK_MS = 250;
const RESYNC_INTERVAL_MS = 20_000;
/** Interval of the orphan check. A configuration change starts a check immediately. */
const HOUR_MS = 3_600_000;
/**
 * Interval of the search for unresolved intents. It is short, so that the audit soon has the outcome of a change
 * that a crash interrupted. Each search costs one cheap query.
 */
const RECOVERY_INTERVAL_MS = 10_000;
/** Short, so that the readiness probe reports a failing audit soon. */
const AUDIT_PROBE_MS = 10_000;
/** Interval in which each channel is asked whether it has something to tell. Each time costs one cheap query. */
const NOTIFY_INTERVAL_MS = 5_000;

/** Starts the watches, the sweeps and the worker. If one of them fails, it retries until the service is closed. */
export async function startController(parts: ServiceParts): Promise<Controller> {
  // Recover first: if the audit is unavailable, this step fails before any other part has started.
  await parts.steps.recover();
  const controller = new Controller(parts);
  await controller.start();
  return controller;
}

/**
 * Connects the parts of the running service. Triggers add jobs, the worker runs the jobs, and the results update the
 * states of the targets.
 */
export class Controller {
  readonly #parts: ServiceParts;
  readonly #in: TriggerParts;
  readonly #out: WorkerParts;
  readonly #watchErrors: WatchErrors;
  readonly #running = new DisposableStack();
  /**
   * Whether any mapping names a workload to restart. When the last such mapping is gone, one more run drops the pending
   * restarts.
   */
  #hasWorkloads = true;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
    this.#in = createTriggerParts(parts);
    this.#out = createWorkerParts(parts, this.#in);
    this.#watchErrors = createWatchErrors({
      logger: parts.runtime.logger,
      onRecovered: (name) => this.#in.resync.watchRecovered(name),
    });
  }

  get states(): TargetStates {
    return this.#in.states;
  }

  get loops(): Loops {
    return this.#in.loops;
  }

  get ages(): SourceAges {
    return this.#out.ages;
  }

  get auditHealth(): AuditHealth {
    return this.#out.auditHealth;
  }

  snapshot(): ConfigSnapshot {
    return this.#in.configuration.snapshot();
  }

  /** Returns the first error of a watch, if any. */
  clusterError(): AppError | undefined {
    return this.#watchErrors.first();
  }

  /** Receives event hints. */
  get takeHints(): SubmitHints {
    return this.#in.hints.take;
  }

  async start(): Promise<void> {
    const { states, watches, resync } = this.#in;
    const { queue } = this.#parts.ports;
    watches.start({
      errors: this.#watchErrors,
      listener: {
        changed: (meta) => resync.changed(meta),
        deleted: (target) => resync.deleted(target),
        listed: (scopes) => resync.listed(scopes),
        namespacesChanged: () => {
          void this.#resolveSoon();
          void this.#out.deletion.checkHeld();
        },
      },
    });
    this.#running.defer(states.onChange((state) => this.#noteRun(state)));
    this.#running.defer(queue.onHealth((health) => this.#noteHealth(health)));
    await this.#resolve();
    this.#running.use(this.#startIntervals());
    startJobs(queue, (job, signal) => this.#out.worker.run(job, signal));
    this.#out.deletion.requestOrphanCheck();
    this.#addRestarts();
  }

  /** Queues a run. Resolves when the queue has accepted it. @throws AppError QUEUE_UNAVAILABLE */
  request({ id }: DesiredTarget, requestId: string): Promise<void> {
    return this.#in.orders.place(id, requestId);
  }

  /** Stores the outcome of a deletion or of a release, which happens outside of the target's own job. */
  noteDeletion(outcome: Outcome, requestId: string): void {
    this.#out.noteDeletion(outcome, requestId, this.#parts.runtime.clock.now());
  }

  /**
   * Applies a changed configuration and queues the changed targets. Calls `putInForce` first, which makes the
   * configuration current.
   */
  async applyConfigChange(change: ConfigChange, putInForce?: () => Promise<void>): Promise<void> {
    const begin = async (): Promise<void> => {
      await putInForce?.();
      this.#out.contexts.clear();
    };
    await this.#in.configuration.update((followed) => this.#follow(followed), { change, putInForce: begin });
    if (change.isAddition !== true) this.#out.deletion.requestOrphanCheck();
  }

  /**
   * Queues the failed targets and the failed sweeps of a store. Called when the store has recovered, or when its
   * credentials or its definition have changed.
   */
  storeRecovered(store: string): void {
    const { resync, states, schedule } = this.#in;
    resync.storeRecovered(store);
    const failingSweeps = [...this.snapshot().shards].filter(
      ([name, { sweep }]) => sweep.store === store && states.sweepState(name)?.code !== undefined,
    );
    schedule.queueNow(failingSweeps.map(([name]) => name));
  }

  async close(graceMs: number): Promise<void> {
    const { hints, watches, states } = this.#in;
    hints[Symbol.dispose]();
    this.#running[Symbol.dispose]();
    await watches[Symbol.asyncDispose]();
    await this.#parts.ports.queue.close(graceMs);
    await this.#out.sweepRecord.flush();
    states[Symbol.dispose]();
  }

  readonly #resolveSoon = createCoalescer(async () => {
    try {
      await this.#resolve();
    } catch (error) {
      this.#parts.runtime.logger.error('the targets could not be resolved', { error });
    }
  });

  #resolve(): Promise<void> {
    return this.#in.configuration.update((change) => this.#follow(change));
  }

  /** Follows a new snapshot: watches its targets, and checks the changed targets. */
  #follow({ before, now, removed, changed }: SnapshotChange): void {
    const { states, watches, resync } = this.#in;
    carryOverSweeps(states, before, now);
    states.retain(now, removed);
    watches.follow(
      now.targets,
      now.mappings.some((mapping) => isSelected({ mapping })),
    );
    if (removed.some(({ mapping }) => mapping.onMappingRemoved === 'delete'))
      this.#out.deletion.requestOrphanCheck();
    if (before.targets.length === 0) resync.checkAll();
    else resync.checkDesired(changed, randomUUID());
  }

  /**
   * Called with the result of a run on any replica. The result can complete a person's order. If something has changed
   * after the run started, the target is due again.
   */
  #noteRun({ target, requestId }: TargetState): void {
    this.#in.orders.noteRun(target, requestId);
    this.#in.resync.check([target]);
  }

  #noteHealth({ state, asOf }: QueueHealth): void {
    // Do not wait for `up`: a Redis that may evict jobs stays `degraded`, but it accepts jobs.
    if (state === 'down') return;
    const { resync, orders, schedule, states } = this.#in;
    // Jobs that were queued after `asOf` are not lost. This matters at startup, because most jobs are queued while the
    // first health probe is running.
    resync.checkAll(asOf ?? this.#parts.runtime.clock.now());
    orders.repeatAll();
    schedule.requeueLost((shard) => states.sweepState(shard)?.at);
    this.#out.deletion.requeueOrphanCheck();
  }

  #startIntervals(): Disposable {
    const { loops, schedule, unresolved, resync } = this.#in;
    const { contexts, sweepRecord, deletion } = this.#out;
    const loop = loops.begin('sweep schedule', 30_000);
    const intervals = createIntervals(this.#parts.runtime);
    intervals.every(TICK_MS, () => {
      schedule.tick();
      contexts.evict();
      loop.beat();
    });
    intervals.every(TICK_MS, () => unresolved.checkNext(resync));
    intervals.every(RESYNC_INTERVAL_MS, () => this.#resync());
    intervals.every(RECOVERY_INTERVAL_MS, this.#recovery());
    intervals.every(RECOVERY_INTERVAL_MS, () => this.#parts.steps.resumeApproved());
    intervals.every(AUDIT_PROBE_MS, () => this.#probeAudit());
    intervals.every(NOTIFY_INTERVAL_MS, () => {
      const round = Math.floor(this.#parts.runtime.clock.now() / NOTIFY_INTERVAL_MS);
      this.#in.steps.addNotifications(this.#parts.config.channels(), round, NOTIFY_INTERVAL_MS);
    });
    intervals.every(HOUR_MS, () => {
      deletion.requestOrphanCheck();
      this.#in.states.retain(this.snapshot());
      void sweepRecord.flush();
    });
    return {
      [Symbol.dispose]() {
        intervals[Symbol.dispose]();
        loop.end();
      },
    };
  }

  /**
   * Adds the jobs that may have been lost: of targets, restarts and deletions. Resolves the namespaces that could not
   * be resolved before.
   */
  #resync(): void {
    const { resync, states, steps } = this.#in;
    const { ages, auditHealth, sweepRecord } = this.#out;
    resync.checkAll();
    this.#addRestarts();
    if ([...states.all()].some(({ proposed }) => proposed)) steps.addDeletion();
    ages.warn(this.snapshot().mappings);
    if (auditHealth.error() !== undefined) void sweepRecord.flush();
    // No watch reports when an unresolved selector can be resolved, so retry here.
    if (this.snapshot().targets.some(({ error }) => error !== undefined)) void this.#resolveSoon();
  }

  #recovery(): () => Promise<void> {
    const { runtime, steps } = this.#parts;
    const { states, resync } = this.#in;
    return createRecovery({
      logger: runtime.logger,
      onClosed: () => this.#addRestarts(),
      recover: () =>
        steps.recover((_, id) => {
          if (this.snapshot().forTarget(id).length === 0) return;
          states.inputs(id).unresolvedAt = states.steadyClock.now();
          resync.check([id]);
        }),
    });
  }

  async #probeAudit(): Promise<void> {
    const { auditHealth } = this.#out;
    try {
      await this.#parts.ports.audit.checkWritable();
      auditHealth.probed();
    } catch (thrown) {
      auditHealth.probed(toAppError(thrown));
    }
  }

  #addRestarts(): void {
    const hadWorkloads = this.#hasWorkloads;
    this.#hasWorkloads = this.snapshot().mappings.some(({ restart }) => restart.length > 0);
    if (this.#hasWorkloads || hadWorkloads) this.#in.steps.addRestartNow();
  }
}
