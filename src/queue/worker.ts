import { type Job as BullJob, Worker } from 'bullmq';
import { AppError, toAppError } from '../core/errors.ts';
import { pause, type Timers, within } from '../core/timer.ts';
import { withSuffix } from '../core/tracer.ts';
import type { RedisServer } from './connect-redis.ts';
import { parseJob, WAKE_UP } from './jobs.ts';
import type { Job, Process } from './queue.ts';

export interface WorkerOptions {
  /** The name of the queue in BullMQ. */
  readonly name: string;
  readonly concurrency: number;
  readonly timers: Timers;
  readonly process: Process;
  /** Adds the job of a wake-up. @throws AppError QUEUE_UNAVAILABLE */
  readonly add: (job: Job) => Promise<void>;
  /** Called when a run starts. */
  readonly removeWakeUp: (subject: string) => Promise<void>;
}

/**
 * Lifetime of a job's lock. If a process is killed, another process takes over its jobs after their locks have expired.
 * BullMQ checks for expired locks twice within this time.
 */
const LOCK_MS = 15_000;
const RETRY_MS = 1_000;
const CLOSE_TIMEOUT_MS = 1_000;

/** Runs jobs from its creation until it is stopped. */
export class JobWorker {
  readonly #server: RedisServer;
  readonly #options: WorkerOptions;
  readonly #running = new Map<string, Promise<void>>();
  readonly #ending = new AbortController();
  #current: Worker | undefined;
  #paused: Promise<void> | undefined;

  constructor(server: RedisServer, options: WorkerOptions) {
    this.#server = server;
    this.#options = options;
    void this.#supervise();
  }

  /** Stops taking jobs. */
  stop(): void {
    this.#ending.abort(new AppError('INTERRUPTED'));
    // Pause the worker instead of closing it. The forced close would wait for an earlier close, and the earlier close
    // would wait for Redis.
    this.#paused ??= this.#current?.pause().catch(this.#server.reportError) ?? Promise.resolve();
  }

  /** Stops, and resolves when running jobs have ended, or after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const { timers } = this.#options;
    this.stop();
    const ended = async (): Promise<void> => {
      while (this.#running.size > 0) await Promise.allSettled(this.#running.values());
      // BullMQ waits until it has reported ended jobs to the server, so limit the wait.
      await within(this.#paused ?? Promise.resolve(), CLOSE_TIMEOUT_MS, timers);
    };
    await within(ended(), graceMs, timers);
    // This close ends the renewal of the locks, so that another process takes over the jobs that still run.
    await within(this.#current?.close(true) ?? Promise.resolve(), CLOSE_TIMEOUT_MS, timers);
  }

  /** Replaces a worker that has stopped. BullMQ's worker stops permanently if its setup fails. */
  async #supervise(): Promise<void> {
    const { timers } = this.#options;
    while (!this.#ending.signal.aborted) {
      const worker = this.#create();
      this.#current = worker;
      try {
        await worker.waitUntilReady();
        await worker.run();
      } catch (thrown) {
        this.#server.reportError(thrown);
      }
      if (this.#ending.signal.aborted) return;
      await within(worker.close(true), CLOSE_TIMEOUT_MS, timers);
      await pause(RETRY_MS, timers);
    }
  }

  #create(): Worker {
    const { name, concurrency } = this.#options;
    const worker = new Worker(name, (job) => this.#work(job), {
      connection: this.#server.blocking(),
      prefix: this.#server.prefix,
      concurrency,
      autorun: false,
      lockDuration: LOCK_MS,
      stalledInterval: LOCK_MS / 2,
      // Repeat a stalled job however often it stalled. Other limits protect the process from a harmful job.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      runRetryDelay: RETRY_MS,
    });
    return worker.on('error', this.#server.reportError);
  }

  async #work({ name, data, stalledCounter }: BullJob): Promise<void> {
    const job = parseJob(data);
    if (job === undefined) return;
    if (name === WAKE_UP) return this.#wakeUp(job);
    const { subject, requestId } = job;
    // BullMQ delivers the job again if its lock expired while this process was blocked. Wait until the first run has
    // ended.
    while (this.#running.has(subject)) await this.#running.get(subject)?.then(undefined, () => undefined);
    // Another process may have started this job before, so give this run a distinct request id.
    const isRepeated = stalledCounter > 0;
    const done = this.#run(
      isRepeated ? { ...job, requestId: withSuffix(requestId, `${stalledCounter}`) } : job,
    );
    this.#running.set(subject, done);
    try {
      await done;
    } finally {
      this.#running.delete(subject);
    }
  }

  /** Retries until the job is added or the queue closes. After a close, another process takes over the wake-up. */
  async #wakeUp(job: Job): Promise<void> {
    for (;;) {
      try {
        return await this.#options.add(job);
      } catch (thrown) {
        if (this.#ending.signal.aborted) throw new Error(toAppError(thrown).code);
        await pause(RETRY_MS, this.#options.timers);
      }
    }
  }

  async #run(job: Job): Promise<void> {
    const { removeWakeUp, process } = this.#options;
    try {
      await removeWakeUp(job.subject);
    } catch (thrown) {
      this.#server.reportError(thrown);
    }
    try {
      await process(job, this.#ending.signal);
    } catch (thrown) {
      // BullMQ stores the message, so use only our error code and no text from third parties.
      throw new Error(toAppError(thrown).code);
    }
  }
}
