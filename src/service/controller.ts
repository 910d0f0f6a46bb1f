import { randomUUID } from 'node:crypto';
import { type AppError, toAppError } from '../core/errors.ts';
import { createCoalescer, createSerialExecutor } from '../core/serial-executor.ts';
import { formatTarget } from '../core/target.ts';
import type { SubmitHints } from '../events/hint.ts';
import type { Job } from '../queue/queue.ts';
import type { Outcome } from '../reconcile/outcome.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import type { AuditHealth } from './audit-health.ts';
import { carryOver } from './carry-over.ts';
import {
  type ConfigChange,
  type ConfigSnapshot,
  changedTargets,
  createConfigSnapshot,
  keepUnresolved,
  removesTargets,
} from './config-snapshot.ts';
import { Hints } from './events/hints.ts';
import { createIntervals } from './intervals.ts';
import { createJobDispatcher } from './job-dispatcher.ts';
import { createLoops, type Loops } from './liveness/loops.ts';
import { createLostRetries } from './lost-retries.ts';
import { createNewTargets } from './new-targets.ts';
import { createOrders } from './orders.ts';
import { createOutbox } from './outbox.ts';
import { createRecovery } from './recovery.ts';
import { ACTOR_OF, createActors } from './runs/actors.ts';
import { withPrefetch } from './runs/prefetch.ts';
import { startJobs } from './runs/start-jobs.ts';
import { createSyncContexts } from './runs/sync-contexts.ts';
import type { ServiceParts } from './service-parts.ts';
import { createStaleFailures } from './stale-failures.ts';
import { SourceAges } from './sweep/source-ages.ts';
import { SweepSchedule } from './sweep/sweep-schedule.ts';
import { createTargetStates, type TargetStates } from './target-states.ts';
import { createObserver } from './watch/observer.ts';
import { createWatchErrors } from './watch/watch-errors.ts';
import { isSelected, Watches } from './watch/watches.ts';

/** The parts of a running service that its API and its status use. */
export interface Controller {
  readonly states: TargetStates;
  readonly loops: Loops;
  readonly ages: SourceAges;
  readonly snapshot: () => ConfigSnapshot;
  /** Returns the first error of a watch, if any. */
  readonly clusterError: () => AppError | undefined;
  readonly auditHealth: AuditHealth;
  /** Receives event hints. */
  readonly takeHints: SubmitHints;
  /** Queues a run. Resolves when the queue has accepted it. @throws AppError QUEUE_UNAVAILABLE */
  request(desired: DesiredTarget, requestId: string): Promise<void>;
  /** Stores the outcome of a step outside the target's own job. */
  noteDeletion(outcome: Outcome, requestId: string): void;
  /**
   * Applies a changed configuration and queues the changed targets. Calls `putInForce` first, which makes the
   * configuration current.
   */
  applyConfigChange(change: ConfigChange, putInForce?: () => Promise<void>): Promise<void>;
  /** Queues the failed targets and sweeps of a store that recovered, or whose credentials or definition changed. */
  storeRecovered(store: string): void;
  close(graceMs: number): Promise<void>;
}

/** Interval of cheap periodic tasks. It is short, so that it hardly delays sweeps with a short interval. */
const TICK_MS = 250;
const RESEND_INTERVAL_MS = 20_000;
/** A job counts as lost only after this time, because many other jobs may run first. */
const LOST_AFTER_MS = 60_000;
/** Interval of the orphan check. A configuration change starts a check immediately. */
const HOUR_MS = 3_600_000;
/** Short, because each check costs one cheap query. The end of a killed process is recognized only after some time. */
const RECOVERY_INTERVAL_MS = 10_000;
/** Short, so that the readiness probe reports a failing audit soon. */
const AUDIT_PROBE_MS = 10_000;

/** Starts the watches, the sweeps and the worker. They retry after failures until the service is closed. */
export async function startController(parts: ServiceParts): Promise<Controller> {
  const { clock, logger, queue, cluster, audit, random } = parts;
  // Recover first: if the audit is unavailable, this step fails before any other part has started.
  await parts.recover();
  // Use a monotonic clock, because a jump of the wall clock is not a stall.
  const loops = createLoops({ now: () => performance.now() });
  // With a memory queue there is no other process to inform, and each serialized state costs memory.
  const broadcast = queue.kind === 'memory' ? undefined : queue.broadcast;
  const states = createTargetStates(broadcast, clock, parts.heldId, parts.configHashOf);
  let snapshot = createConfigSnapshot([], [], parts.stores.tellsVersions);
  const current = () => snapshot;
  const outbox = createOutbox(queue, parts);
  const orders = createOrders({ ...parts, outbox });
  const schedule = new SweepSchedule({ queue, snapshot: current, clock, logger });
  const watchErrors = createWatchErrors({ states, outbox, logger, snapshot: current });
  const hints = new Hints({ ...parts, namesOf: parts.stores.namesOf, outbox, snapshot: current });
  const actorOf = createActors(audit, hints.intakeOf);
  const openContext = async ({ requestId, reason }: Pick<Job, 'requestId' | 'reason'>) => {
    const actor = await actorOf(requestId, ACTOR_OF[reason]);
    // Wait until the new snapshot is in use, so that no run uses the previous configuration.
    if (snapshot.mappings !== parts.mappings()) await serialize(async () => undefined);
    const context = await parts.openContext({ requestId, actor });
    return withPrefetch(context, {
      outbox,
      snapshot: current,
      states,
      isListed: (id) => watches.isListed(id),
    });
  };
  const contexts = createSyncContexts(clock, openContext);
  const staleFailures = createStaleFailures({
    states,
    outbox,
    hasOpenFailure: parts.hasOpenFailure ?? (async () => false),
  });
  const observer = createObserver({
    ...parts,
    ...{
      snapshot: current,
      states,
      outbox,
      stores: parts.stores.definitions,
      onUnverified: staleFailures.enqueue,
    },
    onHeldGone: () => dispatcher.queueDeletion(),
  });
  const ages = new SourceAges({ clock, logger });
  const newTargets = createNewTargets(states, clock);
  const dispatcher = createJobDispatcher({
    ...parts,
    ages,
    states,
    outbox,
    contexts,
    loops,
    snapshot: current,
    isNew: newTargets.has,
  });

  /** @param ask Queues targets and returns their keys. It runs before the slower check of all other targets. */
  const resolveOnce = async (ask?: () => ReadonlySet<string>): Promise<void> => {
    const before = snapshot;
    const desired = keepUnresolved(await parts.resolve(), before.targets);
    snapshot = createConfigSnapshot(parts.mappings(), desired, parts.stores.tellsVersions);
    carryOver({ states, outbox }, before, snapshot);
    newTargets.note(before, snapshot);
    const selects = snapshot.mappings.some((mapping) => isSelected({ mapping }));
    watches.follow(snapshot.targets, selects);
    if (removesTargets(before, snapshot)) dispatcher.queueOrphanCheck();
    const queued = ask?.();
    observer.all((id) => watches.isListed(id) && !queued?.has(formatTarget(id)));
  };
  // Resolve once at a time, so that an older result never replaces a newer one.
  const serialize = createSerialExecutor();
  const resolveAgain = (): Promise<void> => serialize(() => resolveOnce());
  const resolveSoon = createCoalescer(() =>
    resolveAgain().catch((error: unknown) => logger.error('the targets could not be resolved', { error })),
  );
  const watches = new Watches({
    cluster,
    scope: parts.scope,
    loops,
    errors: watchErrors,
    listener: {
      changed(meta) {
        newTargets.seen(meta);
        observer.meta(meta);
      },
      deleted: observer.deleted,
      listed: observer.listed,
      namespacesChanged() {
        void resolveSoon();
        dispatcher.checkHeld();
      },
    },
    wake: parts.wake,
  });

  /** A run in any replica can complete requests of this process. */
  const stopListening = states.onChange(({ target, requestId }) => {
    orders.noteRun(target, requestId);
    // If several mappings merge into the target, the request is complete only after a run for each mapping.
    const starts = snapshot
      .forTarget(target)
      .map(({ mapping }) => states.get(mapping.name, target)?.startedAt ?? 0);
    outbox.done(target, Math.min(...starts), requestId);
  });
  // After an outage, Redis may have lost all jobs. Do not wait for `up`: a Redis that may evict jobs stays `degraded`,
  // but it accepts jobs.
  const stopHealth = queue.onHealth(({ state, asOf }) => {
    if (state === 'down') return;
    // Requests queued after `asOf` need no resend. At startup, most requests are queued while the first health probe is
    // running.
    outbox.resendUntil(asOf ?? clock.now());
    schedule.requeueLost((shard) => states.sweepState(shard)?.at);
    dispatcher.requeueOrphanCheck();
  });
  const queueLostRetries = createLostRetries({
    ...{ states, outbox, clock, snapshot: current },
    lostAfterMs: LOST_AFTER_MS,
  });

  const recoverCrashed = createRecovery({
    logger,
    onClosed: () => dispatcher.queueRestarts(),
    recover() {
      const requestId = randomUUID();
      return parts.recover((mapping, id) => {
        const isDesired = snapshot.forTarget(id).some((desired) => desired.mapping.name === mapping);
        if (isDesired) outbox.trigger(id, 'sweep', requestId);
      });
    },
  });
  const probeAudit = async (): Promise<void> => {
    try {
      await audit.checkWritable();
      dispatcher.auditHealth.probed();
    } catch (thrown) {
      dispatcher.auditHealth.probed(toAppError(thrown));
    }
  };
  await resolveAgain();
  const loop = loops.begin('sweep schedule', 30_000);
  const intervals = createIntervals({ logger, random });
  intervals.every(TICK_MS, () => {
    schedule.tick();
    observer.queueFreedNames();
    contexts.evict();
    loop.beat();
  });
  intervals.every(TICK_MS, staleFailures.checkNext);
  intervals.every(RESEND_INTERVAL_MS, () => {
    outbox.resend(LOST_AFTER_MS);
    queueLostRetries(randomUUID());
    dispatcher.queueRestarts();
    dispatcher.queuePendingDeletions();
    ages.warn(snapshot.mappings);
    if (dispatcher.auditHealth.error() !== undefined) void dispatcher.recordSweeps();
    // No watch reports when an unresolved selector can be resolved, so retry here.
    if (snapshot.targets.some(({ error }) => error !== undefined)) void resolveSoon();
  });
  intervals.every(RECOVERY_INTERVAL_MS, recoverCrashed);
  intervals.every(AUDIT_PROBE_MS, probeAudit);
  intervals.every(HOUR_MS, () => {
    dispatcher.queueOrphanCheck();
    void dispatcher.recordSweeps();
  });

  startJobs(queue, dispatcher.process);
  dispatcher.queueOrphanCheck();
  dispatcher.queueRestarts();

  return {
    states,
    loops,
    ages,
    snapshot: current,
    clusterError: watchErrors.first,
    auditHealth: dispatcher.auditHealth,
    takeHints: hints.take,
    noteDeletion: (outcome, requestId) => dispatcher.noteDeletion(outcome, requestId, clock.now()),
    request: ({ id }, requestId) => orders.place(id, requestId),
    async applyConfigChange(change, putInForce) {
      const before = snapshot;
      const requestId = randomUUID();
      await serialize(async () => {
        await putInForce?.();
        contexts.clear();
        await resolveOnce(() => {
          const changed = changedTargets(before, snapshot, change);
          for (const { id, isNew } of changed) outbox.trigger(id, isNew ? 'first' : 'event', requestId);
          return new Set(changed.map(({ id }) => formatTarget(id)));
        });
      });
      dispatcher.queueOrphanCheck();
    },
    storeRecovered(store) {
      const requestId = randomUUID();
      for (const { id, mapping } of snapshot.targets) {
        const state = states.get(mapping.name, id);
        if (state?.error !== undefined && snapshot.storesOf(id).includes(store))
          outbox.trigger(id, 'event', requestId);
      }
      const failingSweeps = [...snapshot.shards].filter(
        ([name, { sweep }]) => sweep.store === store && states.sweepState(name)?.code !== undefined,
      );
      schedule.queueNow(failingSweeps.map(([name]) => name));
    },
    async close(graceMs) {
      hints[Symbol.dispose]();
      intervals[Symbol.dispose]();
      stopHealth();
      stopListening();
      newTargets[Symbol.dispose]();
      await watches[Symbol.asyncDispose]();
      await queue.close(graceMs);
      await dispatcher.recordSweeps();
      loop.end();
      states[Symbol.dispose]();
    },
  };
}
