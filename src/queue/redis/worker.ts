import type { Job as BullJob, Worker as BullWorker } from 'bullmq';
import { AppError, toAppError } from '../../core/errors.ts';
import { withSuffix } from '../../core/request-id.ts';
import { mergeTriggers } from '../pending-trigger.ts';
import { FALLBACK_REASON, type Job, type Process, type Queue, REASONS } from '../queue.ts';
import { pause, type Timers, within } from '../timers.ts';
import { COMMAND_MS, type RedisClients } from './clients.ts';
import type { PendingTriggers } from './pending-triggers.ts';

export interface WorkerOptions {
  readonly Worker: typeof BullWorker;
  readonly clients: RedisClients;
  readonly name: string;
  readonly names: string;
  readonly concurrency: number;
  readonly timers: Timers;
  readonly process: Process;
  readonly triggers: PendingTriggers;
  readonly add: Queue['add'];
  readonly signal: AbortSignal;
  readonly onError: (thrown: unknown) => void;
}

export interface RunningWorker {
  /** Stops taking jobs. Resolves when running jobs have ended, or after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

/**
 * Lifetime of a job's lock. After it expires, another process takes over the job of a killed process. BullMQ checks for
 * expired locks twice as often.
 */
const LOCK_MS = 15_000;
const RETRY_MS = 1_000;
const CLOSE_TIMEOUT_MS = 1_000;

export function startWorker(options: WorkerOptions): RunningWorker {
  const { clients, timers, concurrency, names, onError, signal } = options;
  const running = new Map<string, Promise<void>>();
  /**
   * BullMQ's own `close` waits for Redis and keeps renewing the locks, so the process would never exit while Redis is
   * down.
   */
  class ReleasingWorker extends options.Worker {
    releaseLocks(): Promise<void> {
      return this.lockManager.close();
    }
  }
  let stopping = false;
  let current: ReleasingWorker | undefined;

  /** Merges the queued job with its stored trigger. Returns the queued job unchanged if Redis is unreachable. */
  const take = async (queuedJob: Job): Promise<Job> => {
    try {
      const trigger = await options.triggers.take(queuedJob.subject);
      return trigger === undefined ? queuedJob : mergeTriggers({ job: queuedJob, dueAt: 0 }, trigger).job;
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown;
      onError(thrown);
      return queuedJob;
    }
  };

  /** Adds the next run before the current job ends, so that a crash in between cannot lose it. */
  const runAgain = async (job: Job, delayMs: number): Promise<void> => {
    while (!signal.aborted) {
      try {
        return await options.add(job, { delayMs });
      } catch (thrown) {
        if (!(thrown instanceof AppError)) throw thrown;
        await pause(RETRY_MS, timers);
      }
    }
  };

  /** Saves the merged job in Redis, so that another process can repeat it if this one is killed. */
  const saveJobData = async (running: BullJob, { subject, reason, requestId }: Job): Promise<void> => {
    try {
      // Limit the wait, because commands on this connection wait for Redis indefinitely.
      await within(running.updateData({ subject, reason, requestId }), COMMAND_MS, timers);
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown;
      onError(thrown);
    }
  };

  const run = async (queuedJob: Job, bullJob: BullJob): Promise<void> => {
    const job = await take(queuedJob);
    if (job.requestId !== queuedJob.requestId || job.reason !== queuedJob.reason)
      await saveJobData(bullJob, job);
    try {
      const afterMs = await options.process(job, signal);
      if (afterMs !== undefined) await runAgain(job, afterMs);
    } catch (thrown) {
      // BullMQ stores the message, so use only our error code and no text from third parties.
      throw new Error(toAppError(thrown).code);
    }
  };

  const work = async (bullJob: BullJob): Promise<void> => {
    const { data, stalledCounter } = bullJob;
    const queuedJob = jobFrom(data);
    if (queuedJob === undefined) return;
    // The previous process may have started this run, so give this one a distinct request id.
    const isRepeated = stalledCounter > 0;
    const job = isRepeated
      ? { ...queuedJob, requestId: withSuffix(queuedJob.requestId, `${stalledCounter}`) }
      : queuedJob;
    // BullMQ delivers the job again if its lock expired while this process was blocked. Wait until the first run has
    // ended.
    while (running.has(job.subject)) await running.get(job.subject)?.then(undefined, () => undefined);
    const done = run(job, bullJob);
    running.set(job.subject, done);
    try {
      await done;
    } finally {
      running.delete(job.subject);
    }
  };

  const connection = clients.blocking();
  const create = (): ReleasingWorker => {
    const worker = new ReleasingWorker(options.name, work, {
      ...{ connection, prefix: names, concurrency, autorun: false },
      lockDuration: LOCK_MS,
      stalledInterval: LOCK_MS / 2,
      // Repeat a stalled job however often it stalled. Other limits protect the process from a harmful job.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      runRetryDelay: RETRY_MS,
    });
    worker.on('error', onError);
    return worker;
  };

  // BullMQ's worker stops permanently if its setup fails, so create another one.
  const supervise = async (): Promise<void> => {
    while (!stopping) {
      const worker = create();
      current = worker;
      try {
        await worker.waitUntilReady();
        await worker.run();
      } catch (thrown) {
        onError(thrown);
      }
      if (stopping) return;
      await within(worker.close(true), CLOSE_TIMEOUT_MS, timers);
      await pause(RETRY_MS, timers);
    }
  };
  void supervise();

  return {
    async stop(graceMs) {
      stopping = true;
      const closing = current?.close() ?? Promise.resolve();
      const ended = async (): Promise<void> => {
        while (running.size > 0) await Promise.allSettled(running.values());
        // BullMQ's `close` waits until it has reported ended jobs to Redis, so limit the wait.
        await within(closing, CLOSE_TIMEOUT_MS, timers);
      };
      await within(ended(), graceMs, timers);
      await current?.releaseLocks();
    },
  };
}

/** Returns `undefined` for data of another format. */
function jobFrom(data: unknown): Job | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const { subject, reason, requestId } = data as { readonly [name: string]: unknown };
  if (typeof subject !== 'string' || typeof reason !== 'string' || typeof requestId !== 'string')
    return undefined;
  return { subject, reason: REASONS.find((known) => known === reason) ?? FALLBACK_REASON, requestId };
}
