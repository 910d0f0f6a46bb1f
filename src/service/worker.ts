import { type Clock, measureBusyShare } from '../core/clock.ts';
import { type AppError, toAppError } from '../core/errors.ts';
import type { MappingInclude } from '../core/mapping.ts';
import type { TargetId } from '../core/target.ts';
import { noTracer, type Tracer } from '../core/tracer.ts';
import type { Job, Reason } from '../queue/queue.ts';
import { parseSubject, type Subject } from '../queue/subject.ts';
import { expectedReads, type SyncContext } from '../reconcile/context.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { AuditHealth } from './audit-health.ts';
import type { ConfigSnapshot } from './config-snapshot.ts';
import type { DeletionStep } from './deletion/deletion-step.ts';
import type { Loop, Loops } from './liveness/loops.ts';
import { createStoreProgress, type StoreProgress, withStoreProgress } from './liveness/store-progress.ts';
import { Bulkhead } from './runs/bulkhead.ts';
import { CallBudget, callsOf } from './runs/call-budget.ts';
import { FairReads } from './runs/fair-reads.ts';
import type { RunTarget } from './runs/manual-retries.ts';
import type { SyncContexts } from './runs/sync-contexts.ts';
import { createUnknownJobs, type UnknownJobs } from './runs/unknown-jobs.ts';
import type { StoreParts } from './service-parts.ts';
import type { SweepShard } from './sweep/sweep.ts';
import type { SweepRecord } from './sweep/sweep-record.ts';

/** The work of each kind of subject. */
export interface Work {
  readonly target: RunTarget;
  readonly sweep: SweepShard;
  readonly deletion: Pick<DeletionStep, 'run'>;
  /** Restarts pending workloads. Returns the delay until the next check. */
  readonly restart: (signal: AbortSignal) => Promise<number | undefined>;
  /** Sends the messages of a channel. Returns the delay until the next attempt after a failure. */
  readonly notify: (channel: string, signal: AbortSignal) => Promise<number | undefined>;
}

export interface WorkerDeps {
  readonly work: Work;
  readonly snapshot: () => ConfigSnapshot;
  readonly contexts: SyncContexts<SyncContext>;
  readonly stores: Pick<StoreParts, 'isDown' | 'onAnswer' | 'tellsVersions'>;
  readonly limits: {
    /** Maximum concurrent runs for targets with the same set of stores. */
    readonly concurrency: number;
    /** Maximum jobs at the same time. */
    readonly maxJobs: number;
  };
  readonly loops: Loops;
  readonly auditHealth: AuditHealth;
  readonly sweepRecord: SweepRecord;
  readonly onCycle: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer?: Tracer | undefined;
  readonly random: () => number;
}

/** Retry delay while the audit is unavailable. Without the audit, a job may change nothing. */
const AUDIT_WAIT_MS = 5_000;
/** Short, because the job has already waited a minute for the lock of the audit. */
const LOCK_WAIT_MS = 5_000;
const BUG_WAIT_MS = 60_000;
const SWEEP_RETRY_MS = 15_000;
const CONFIG_CHANGED_WAIT_MS = 100;
/** A job counts as stalled after this time without progress. Answers from its stores count as progress. */
const JOB_DEADLINE_MS = 300_000;
/**
 * Concurrent sweeps of a store, as a share of `concurrency`. After an outage all sweeps are late. If as many of them ran
 * as targets, changed targets would wait for them at the store and in this process.
 */
const SWEEP_SHARE = 0.25;
/** The number of keys in a page of a list of versions. */
const KEYS_PER_LIST = 100;
/** Longer than the deadline of other jobs, because a deletion job reads every target on record, one at a time. */
const DELETION_DEADLINE_MS = 3_600_000;

/** Runs each job of the queue according to the kind of its subject. */
export class Worker {
  readonly #deps: WorkerDeps;
  readonly #bulkhead: Bulkhead;
  readonly #budget: CallBudget;
  readonly #reads = new FairReads();
  readonly #progress: StoreProgress;
  readonly #unknown: UnknownJobs;

  constructor(deps: WorkerDeps) {
    this.#deps = deps;
    // Use a monotonic clock, because a jump of the wall clock would delay jobs.
    const now = () => performance.now();
    this.#bulkhead = new Bulkhead({
      maxJobs: deps.limits.maxJobs,
      maxQueued: deps.limits.concurrency * 2,
      now,
      busyShare: measureBusyShare(),
    });
    this.#budget = new CallBudget({ now });
    this.#progress = createStoreProgress(now);
    deps.stores.onAnswer(this.#progress.note);
    this.#unknown = createUnknownJobs(deps);
  }

  /**
   * Runs a job; never throws. Returns the delay in milliseconds until the subject must run again, or `undefined` for no
   * further run.
   */
  async run(given: Job, signal: AbortSignal): Promise<number | undefined> {
    const subject = parseSubject(given.subject);
    // A person requests runs of targets only (`runs/requesters.ts`).
    const isPerson = given.reason === 'manual' && subject?.kind === 'target';
    const job: Job = given.reason === 'manual' && !isPerson ? { ...given, reason: 'sweep' } : given;
    if (subject === undefined || !this.#isKnown(subject, job)) return this.#unknown.handBack(job.subject);
    this.#unknown.forget(job.subject);
    const isDeletion = subject.kind === 'left' || subject.kind === 'destroy';
    const { loops, auditHealth } = this.#deps;
    const loop = loops.begin(`job ${job.subject}`, isDeletion ? DELETION_DEADLINE_MS : JOB_DEADLINE_MS);
    try {
      const delayMs = await this.#runSubject(subject, job, loop, signal);
      auditHealth.writeSucceeded(job.subject);
      return delayMs;
    } catch (thrown) {
      // The process ends, so return the job for another process.
      return signal.aborted ? 0 : this.#retryAfter(toAppError(thrown), job);
    } finally {
      loop.end();
    }
  }

  #isKnown(subject: Subject, { subject: name }: Job): boolean {
    const { shards, forTarget } = this.#deps.snapshot();
    if (subject.kind === 'target') return forTarget(subject).length > 0;
    return subject.kind !== 'sweep' || shards.has(name);
  }

  async #runSubject(
    subject: Subject,
    job: Job,
    loop: Loop,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { work, snapshot } = this.#deps;
    signal.throwIfAborted();
    switch (subject.kind) {
      case 'target': {
        const stores = snapshot().storesOf(subject);
        const mappings = snapshot()
          .forTarget(subject)
          .map(({ mapping }) => mapping);
        const include = mappings.find((mapping) => mapping.include !== undefined)?.include;
        const calls = mappings.reduce((sum, mapping) => sum + callsOf(mapping), 0);
        const run = (wrap: Wrap, onWritten: () => void) =>
          work.target(subject, job, { signal, wrap, onWritten });
        const onQueued = () => void this.#expectReads(job, subject);
        const { concurrency } = this.#deps.limits;
        return this.#inCompartment(stores.join(' '), job, {
          ...{ concurrency, loop, stores, run, include, calls, signal, onQueued },
        });
      }
      case 'sweep': {
        const stores = [subject.store];
        const { include, refs = [] } = snapshot().shards.get(job.subject) ?? {};
        const run = (wrap: Wrap) => this.#sweep(job, loop, wrap);
        const keysPerCall = this.#deps.stores.tellsVersions(subject.store) ? KEYS_PER_LIST : 1;
        const calls = Math.ceil(refs.length / keysPerCall);
        const concurrency = Math.ceil(this.#deps.limits.concurrency * SWEEP_SHARE);
        const work = { concurrency, loop, stores, run, include, calls, signal };
        return this.#inCompartment(`sweep: ${subject.store}`, job, work);
      }
      case 'destroy':
      case 'left':
        return work.deletion.run(job, subject.kind, { onProgress: loop.beat, signal });
      case 'notify':
        return work.notify(subject.channel, signal);
      default:
        return work.restart(signal);
    }
  }

  /**
   * Runs a job in its compartment. While the job waits for its start or for values, answers from its stores count as
   * progress.
   */
  #inCompartment(
    name: string,
    { reason }: Job,
    { concurrency, loop, stores, run, include, calls, signal, onQueued }: CompartmentWork,
  ): Promise<number | undefined> {
    const beginWait = () => this.#progress.trackWait(loop, stores);
    const end = beginWait();
    const begun = async (release: () => void) => {
      end();
      // The process may have been told to end while the job waited.
      signal.throwIfAborted();
      const waitMs = this.#callsWaitMs(include, calls, reason);
      if (waitMs > 0) return waitMs;
      return run((context) => {
        const observed = withStoreProgress(context, beginWait);
        return include === undefined ? observed : this.#reads.wrap(observed, include.path);
      }, release);
    };
    const bulkheadJob = { name, concurrency, reason, group: include?.path };
    return this.#bulkhead.run(bulkheadJob, begun, onQueued).finally(end);
  }

  /**
   * Announces the reads of a target whose job will run soon. Jobs may run in another order than they were added, for
   * example because a slow compartment has sent some of them back to the queue. If values were read long before their
   * job, they would be too old then, and would be read a second time.
   */
  async #expectReads(job: Job, target: TargetId): Promise<void> {
    const { contexts, snapshot } = this.#deps;
    const announced = contexts
      .opened(job)
      ?.then((context) => context.expect(expectedReads(snapshot().forTarget(target), context), true));
    // If it failed, the run reads the values itself, and reports the error.
    await Promise.allSettled([announced]);
  }

  /** Returns how long a job must wait for the limit of its `include` on calls to stores. */
  #callsWaitMs(include: MappingInclude | undefined, calls: number, reason: Reason): number {
    return include === undefined ? 0 : this.#budget.take(include, calls, reason);
  }

  async #sweep(job: Job, loop: Loop, wrap: Wrap): Promise<number | undefined> {
    const { work, snapshot, contexts, stores, tracer = noTracer, random } = this.#deps;
    const context = wrap(await contexts.get(job, 0));
    const shard = snapshot().shards.get(job.subject);
    if (shard === undefined) return undefined;
    const { store } = shard.sweep;
    const result = await tracer.span(
      'sweep',
      { store, reason: job.reason },
      () => work.sweep(shard, job, context, loop.beat),
      {
        requestId: job.requestId,
        isRoot: true,
        resultAttributes: ({ code }) => (code === undefined ? {} : { code }),
      },
    );
    // No target is due, so no job will reuse the values that the sweep read.
    if (result.due === 0) contexts.end(job);
    this.#deps.onCycle();
    this.#deps.sweepRecord.add(result);
    // If the failure was brief, retry soon. If the store is down, its recovery queues the sweep.
    const isTransientOutage = result.code !== undefined && !stores.isDown(store);
    return isTransientOutage ? SWEEP_RETRY_MS * (1 + random()) : undefined;
  }

  #retryAfter(error: AppError, { subject, requestId }: Job): number {
    const { logger, auditHealth, random } = this.#deps;
    switch (error.code) {
      // The configuration changed during the run, so run again with the new one.
      case 'INTERRUPTED':
        return CONFIG_CHANGED_WAIT_MS;
      case 'BUSY_ELSEWHERE':
        logger.warn('waiting for another process to release the audit lock', { requestId, error });
        return LOCK_WAIT_MS * (1 + random());
      case 'AUDIT_UNAVAILABLE':
        auditHealth.writeFailed(error, subject);
        return AUDIT_WAIT_MS * (1 + random());
      default:
        logger.error('job failed unexpectedly', { requestId, error });
        return BUG_WAIT_MS;
    }
  }
}

/** Wraps a context so that answers from stores count as progress of the job. */
type Wrap = (context: SyncContext) => SyncContext;

interface CompartmentWork {
  readonly concurrency: number;
  readonly loop: Loop;
  /** The stores whose answers count as progress. */
  readonly stores: readonly string[];
  /**
   * @param onWritten Called when only the record of the outcome is missing. The job then waits for the audit, while the
   * next job reads and writes.
   */
  readonly run: (wrap: Wrap, onWritten: () => void) => Promise<number | undefined>;
  /** The `include` whose limits apply. */
  readonly include: MappingInclude | undefined;
  /** The number of calls to stores that the job may need. */
  readonly calls: number;
  /** Aborted when the process ends. */
  readonly signal: AbortSignal;
  /** Called if the job waits for its start. */
  readonly onQueued?: (() => void) | undefined;
}
