import { randomUUID } from 'node:crypto';
import { toAppError } from '../core/errors.ts';
import { noTracer, withSuffix } from '../core/tracer.ts';
import { type AddOptions, isQueueOutage, type Job } from '../queue/queue.ts';
import { formatSubject, parseSubject, type Subject } from '../queue/subject.ts';
import type { SyncContext } from '../reconcile/context.ts';
import { type AuditHealth, createAuditHealth } from './audit-health.ts';
import { type ConfigSnapshot, desiredIn } from './config-snapshot.ts';
import { createDeletionStep } from './deletion/deletion-step.ts';
import { createNoteDeletion, type NoteDeletion } from './deletion/note-deletion.ts';
import type { Loop, Loops } from './liveness/loops.ts';
import { contextsWithStoreProgress, createStoreProgress } from './liveness/store-progress.ts';
import type { Outbox } from './outbox.ts';
import { createPinCheck } from './pin-check.ts';
import { Bulkhead } from './runs/bulkhead.ts';
import { demoteManualRetries } from './runs/manual-retries.ts';
import type { SyncContexts } from './runs/sync-contexts.ts';
import { createTargetRunner, type TargetRunnerDeps } from './runs/target-runner.ts';
import { createUnknownJobs } from './runs/unknown-jobs.ts';
import type { ServiceParts } from './service-parts.ts';
import type { SourceAges } from './sweep/source-ages.ts';
import { createSweep } from './sweep/sweep.ts';
import { createSweepRecord } from './sweep/sweep-record.ts';
import type { TargetStates } from './target-states.ts';

export interface JobDispatcherDeps extends ServiceParts, Pick<TargetRunnerDeps, 'isNew'> {
  readonly states: TargetStates;
  readonly outbox: Outbox;
  readonly contexts: SyncContexts<SyncContext>;
  readonly loops: Loops;
  readonly ages: SourceAges;
  readonly snapshot: () => ConfigSnapshot;
}

export interface JobDispatcher {
  /**
   * Runs a job; never throws. Returns the delay in milliseconds until the subject must run again, or `undefined` for no
   * further run.
   */
  process(job: Job, signal: AbortSignal): Promise<number | undefined>;
  readonly noteDeletion: NoteDeletion;
  queueOrphanCheck(): void;
  /** Queues the orphan check again if this process has not completed one since the last request. */
  requeueOrphanCheck(): void;
  checkHeld(): void;
  queuePendingDeletions(): void;
  queueDeletion(): void;
  queueRestarts(): void;
  /** Writes one audit record for all sweeps since the last record. */
  recordSweeps(): Promise<void>;
  readonly auditHealth: AuditHealth;
}

/** Retry delay while the audit is unavailable, because nothing may be changed without it. */
const AUDIT_WAIT_MS = 5_000;
/** Short, because the job has already waited a minute for the lock of the audit. */
const LOCK_WAIT_MS = 5_000;
const BUG_WAIT_MS = 60_000;
const SWEEP_RETRY_MS = 15_000;
const CONFIG_CHANGED_WAIT_MS = 100;
/** Delay before the deletion step, so that proposals that arrive together are decided together. */
const DEBOUNCE_MS = 1_000;
/** A job counts as stalled after this time without progress. Answers from its stores count as progress. */
const JOB_DEADLINE_MS = 300_000;
/** Longer, because a deletion job reads every target on record, one at a time. */
const DELETION_DEADLINE_MS = 3_600_000;

/** Runs each job of the queue according to the kind of its subject. */
export function createJobDispatcher(deps: JobDispatcherDeps): JobDispatcher {
  const { states, outbox, contexts, snapshot, logger, clock, queue, random, loops, tracer = noTracer } = deps;
  const bulkhead = new Bulkhead({
    concurrency: deps.concurrency,
    maxQueued: deps.concurrency * 2,
    // Use a monotonic clock, because a jump of the wall clock would delay jobs.
    now: () => performance.now(),
  });
  const storeProgress = createStoreProgress(() => performance.now());
  deps.stores.onAnswer(storeProgress.note);
  /** For each job, the function that starts to count answers from the job's stores as progress of the job. */
  const waitStarters = new WeakMap<object, () => () => void>();
  const progressContexts = contextsWithStoreProgress(contexts, (job) => waitStarters.get(job));
  /** Runs a job in its compartment. While the job waits there, answers from its stores count as progress. */
  const inCompartment = (
    compartment: string,
    job: Job,
    wait: () => () => void,
    work: () => Promise<number | undefined>,
  ): Promise<number | undefined> => {
    waitStarters.set(job, wait);
    const end = wait();
    const begun = () => {
      end();
      return work();
    };
    return bulkhead.run(compartment, job.reason, begun).finally(end);
  };
  const sweep = createSweep({
    snapshot,
    states,
    outbox,
    clock,
    ages: deps.ages,
    checkPins: createPinCheck({
      audit: deps.audit,
      snapshot,
      states,
      outbox,
      clock,
    }),
    tellsVersions: deps.stores.tellsVersions,
    isDown: deps.stores.isDown,
  });
  const runTarget = createTargetRunner({
    ...{ snapshot, states, outbox, clock, logger, tracer, random },
    contexts: progressContexts,
    audit: deps.audit,
    ages: deps.ages,
    onProposal: () => queueDeletion(),
    onRestart: () => queueRestart(),
    onOrphan: () => deletionStep.requestOrphanCheck(),
    onOutcome: deps.onOutcome,
    onLargeValues: deps.onLargeValues,
    isNew: deps.isNew,
    isBehind: deps.isBehind,
  });
  const work = demoteManualRetries(runTarget, queue);
  const unknownJobs = createUnknownJobs({ clock, random });
  const auditHealth = createAuditHealth({ clock, logger });
  const sweepRecord = createSweepRecord({ openContext: deps.openContext, auditHealth });

  const add = async (subject: Subject, options?: AddOptions): Promise<void> => {
    try {
      const job: Job = { subject: formatSubject(subject), reason: 'event', requestId: randomUUID() };
      await queue.add([job], options);
    } catch (thrown) {
      const error = toAppError(thrown);
      // Ignore the error: a periodic task queues the job again, and the queue's health reports the outage.
      if (!isQueueOutage(error)) logger.error('a job could not be queued', { error });
    }
  };
  /**
   * Whether any mapping names a workload to restart. When no mapping does so any longer, a last run drops the pending
   * restarts.
   */
  let hasWorkloads = true;
  const queueRestart = (): void => void add({ kind: 'restart' }, { delayMs: deps.restartWindowMs() });
  const queueDeletion = (): void => void add({ kind: 'destroy' }, { delayMs: DEBOUNCE_MS });
  const noteDeletion = createNoteDeletion({
    ...{ states, outbox, clock, logger, snapshot, queueRestart },
    queueLater: (target, delayMs) => void add({ kind: 'target', ...target }, { delayMs }),
  });
  const deletionStep = createDeletionStep({
    ...{ states, clock, cluster: deps.cluster, logger, contexts, tracer },
    isDesired: (state) => desiredIn(snapshot(), state) !== undefined,
    destroy: deps.destroy,
    replicasAgree: deps.replicasAgree,
    queueTarget: (target, requestId) => outbox.trigger(target, 'event', withSuffix(requestId, '')),
    onOutcome: noteDeletion,
    queueOrphanCheck: () => void add({ kind: 'left' }, { delayMs: DEBOUNCE_MS }),
  });

  const runSweep = async (name: string, job: Job, loop: Loop): Promise<number | undefined> => {
    const context = await progressContexts.get(job, 0);
    const shard = snapshot().shards.get(name);
    if (shard === undefined) return undefined;
    const { requestId } = job;
    const result = await tracer.span(
      'sweep',
      { store: shard.sweep.store, reason: job.reason },
      () => sweep(shard, name, job, context, loop.beat),
      { requestId, isRoot: true, resultAttributes: ({ code }) => (code === undefined ? {} : { code }) },
    );
    // The sweep has queued no target, so no job will reuse the values that it read.
    if (result.due === 0) contexts.end(job);
    deps.onCycle();
    sweepRecord.add(result);
    // If the failure was brief, retry soon. If the store is down, its recovery queues the sweep.
    const isTransientOutage = result.code !== undefined && !deps.stores.isDown(shard.sweep.store);
    return isTransientOutage ? SWEEP_RETRY_MS * (1 + random()) : undefined;
  };

  const isKnown = (subject: Subject, name: string): boolean => {
    if (subject.kind === 'target') return snapshot().forTarget(subject).length > 0;
    return subject.kind !== 'sweep' || snapshot().shards.has(name);
  };

  const runSubject = async (
    subject: Subject,
    job: Job,
    { signal, loop }: { readonly signal: AbortSignal; readonly loop: Loop },
  ): Promise<number | undefined> => {
    if (!isKnown(subject, job.subject)) return unknownJobs.handBack(job.subject);
    unknownJobs.forget(job.subject);
    switch (subject.kind) {
      case 'target': {
        const stores = snapshot().storesOf(subject);
        const wait = () => storeProgress.trackWait(loop, stores);
        return inCompartment(stores.join(' '), job, wait, () => work(subject, job, signal));
      }
      case 'sweep': {
        const wait = () => storeProgress.trackWait(loop, [subject.store]);
        return inCompartment(`sweep ${subject.store}`, job, wait, () => runSweep(job.subject, job, loop));
      }
      case 'destroy':
      case 'left':
        return deletionStep.run(job, subject.kind, loop.beat);
      default:
        return deps.restart();
    }
  };

  return {
    async process(job, signal) {
      const subject = parseSubject(job.subject);
      if (subject === undefined) return unknownJobs.handBack(job.subject);
      // The queue is closing, so return the job for another process.
      if (signal.aborted) return 0;
      const isDestroying = subject.kind === 'left' || subject.kind === 'destroy';
      const deadlineMs = isDestroying ? DELETION_DEADLINE_MS : JOB_DEADLINE_MS;
      const loop = loops.begin(`job ${job.subject}`, deadlineMs);
      try {
        const wait = await runSubject(subject, job, { signal, loop });
        auditHealth.writeSucceeded(job.subject);
        return wait;
      } catch (thrown) {
        // The audit was closed during the shutdown, so return the job for another process.
        if (signal.aborted) return 0;
        const error = toAppError(thrown);
        // The configuration changed during the run, so run again with the new one.
        if (error.code === 'INTERRUPTED') return CONFIG_CHANGED_WAIT_MS;
        if (error.code === 'BUSY_ELSEWHERE') {
          logger.warn('waiting for another process to release the audit lock', {
            requestId: job.requestId,
            error,
          });
          return LOCK_WAIT_MS * (1 + random());
        }
        if (error.code !== 'AUDIT_UNAVAILABLE') {
          logger.error('job failed unexpectedly', { requestId: job.requestId, error });
          return BUG_WAIT_MS;
        }
        auditHealth.writeFailed(error, job.subject);
        return AUDIT_WAIT_MS * (1 + random());
      } finally {
        loop.end();
      }
    },
    noteDeletion,
    queueOrphanCheck: deletionStep.requestOrphanCheck,
    requeueOrphanCheck: deletionStep.requeueOrphanCheck,
    checkHeld: deletionStep.checkHeld,
    queueDeletion,
    queuePendingDeletions() {
      for (const { proposed } of states.all()) if (proposed) return queueDeletion();
    },
    queueRestarts() {
      const hadWorkloads = hasWorkloads;
      hasWorkloads = snapshot().mappings.some(({ restart }) => restart.length > 0);
      if (hasWorkloads || hadWorkloads) void add({ kind: 'restart' });
    },
    recordSweeps: sweepRecord.flush,
    auditHealth,
  };
}
