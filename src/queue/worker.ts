import type { Job as BullJob } from 'bullmq';
import { toAppError } from '../core/errors.ts';
import { withSuffix } from '../core/request-id.ts';
import { pause, type Timers, within } from '../core/timer.ts';
import { parseJob, WAKE_UP } from './jobs.ts';
import type { Job, Process } from './queue.ts';
import type { BullMq, BullWorker, QueueServer } from './server.ts';

export interface WorkerOptions {
  /** BullMQ's name of the queue. */
  readonly name: string;
  readonly concurrency: number;
  readonly timers: Timers;
  readonly process: Process;
  /** Adds the job of a wake-up. @throws AppError QUEUE_UNAVAILABLE */
  readonly add: (job: Job) => Promise<void>;
  /** Called when a run starts. */
  readonly removeWakeUp: (subject: string) => Promise<void>;
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

export function startWorker({ Worker }: BullMq, server: QueueServer, options: WorkerOptions): RunningWorker {
  const { name, timers, concurrency, onError } = options;
  const running = new Map<string, Promise<void>>();
  const ending = new AbortController();
  let stopping = false;
  let current: BullWorker | undefined;

  /** Retries until the job is added or the queue closes. After a close, another process takes over the wake-up. */
  const wakeUp = async (job: Job): Promise<void> => {
    for (;;) {
      try {
        return await options.add(job);
      } catch (thrown) {
        if (ending.signal.aborted) throw new Error(toAppError(thrown).code);
        await pause(RETRY_MS, timers);
      }
    }
  };

  const run = async (job: Job): Promise<void> => {
    try {
      await options.removeWakeUp(job.subject);
    } catch (thrown) {
      onError(thrown);
    }
    try {
      await options.process(job, ending.signal);
    } catch (thrown) {
      // BullMQ stores the message, so use only our error code and no text from third parties.
      throw new Error(toAppError(thrown).code);
    }
  };

  const work = async ({ name: kind, data, stalledCounter }: BullJob): Promise<void> => {
    const job = parseJob(data);
    if (job === undefined) return;
    if (kind === WAKE_UP) return wakeUp(job);
    const { subject, requestId } = job;
    // BullMQ delivers the job again if its lock expired while this process was blocked. Wait until the first run has
    // ended.
    while (running.has(subject)) await running.get(subject)?.then(undefined, () => undefined);
    // The previous process may have started this run, so give this one a distinct request id.
    const isRepeated = stalledCounter > 0;
    const done = run(isRepeated ? { ...job, requestId: withSuffix(requestId, `${stalledCounter}`) } : job);
    running.set(subject, done);
    try {
      await done;
    } finally {
      running.delete(subject);
    }
  };

  const connection = server.blocking();
  const create = (): BullWorker => {
    const worker = new Worker(
      name,
      work,
      {
        ...{ connection, prefix: server.prefix, concurrency, autorun: false },
        lockDuration: LOCK_MS,
        stalledInterval: LOCK_MS / 2,
        // Repeat a stalled job however often it stalled. Other limits protect the process from a harmful job.
        maxStalledCount: Number.MAX_SAFE_INTEGER,
        runRetryDelay: RETRY_MS,
      },
      server.backend,
    );
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
      // Do not close the worker first. A second, forced close would then wait for the first close, which waits for
      // Redis.
      const paused = current?.pause().catch(onError) ?? Promise.resolve();
      const ended = async (): Promise<void> => {
        while (running.size > 0) await Promise.allSettled(running.values());
        // BullMQ waits until it has reported ended jobs to the server, so limit the wait.
        await within(paused, CLOSE_TIMEOUT_MS, timers);
      };
      await within(ended(), graceMs, timers);
      ending.abort();
      // Ends the renewal of the locks, so that another process takes over the jobs that still run.
      await within(current?.close(true) ?? Promise.resolve(), CLOSE_TIMEOUT_MS, timers);
    },
  };
}
