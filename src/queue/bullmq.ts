import { Queue as BullMqQueue } from 'bullmq';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { smallest } from '../core/lists.ts';
import { createSemaphore } from '../core/semaphore.ts';
import { pause, systemTimers, type Timers, within } from '../core/timer.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type BullBroadcast, createBullBroadcast } from './broadcast.ts';
import type { RedisServer } from './connect-redis.ts';
import { GroupOrder } from './group-order.ts';
import { HealthWatch, unavailable } from './health.ts';
import { createJobs, type Jobs } from './jobs.ts';
import {
  type AddOptions,
  type Job,
  type JobCounts,
  type Process,
  type Queue,
  type QueueHealth,
  REASONS,
  rankOf,
} from './queue.ts';
import { failureOf } from './redis-errors.ts';
import { type BullQueue, Reopened } from './reopened.ts';
import { JobWorker } from './worker.ts';

export interface BullQueueOptions {
  readonly concurrency: number;
  readonly clock?: Clock;
  /** Logs each change of health. */
  readonly logger?: Logger;
}

/** The name of the queue in BullMQ. It does not contain the instance, because the prefix of all keys contains it. */
const JOBS = 'jobs';
/** By default, BullMQ keeps thousands of job events. Few are enough, because secretbridge does not read job events. */
const MAX_JOB_EVENTS = 10;
const COMMAND_MS = 2_000;
const IDLE_POLL_MS = 100;
const CLOSE_TIMEOUT_MS = 500;
const DISPOSE_GRACE_MS = 10_000;
/** Maximum number of concurrent commands. If thousands ran concurrently, they would time out. */
const MAX_CONCURRENT_COMMANDS = 256;
/** Maximum number of jobs in one command. */
const BULK = 500;

/**
 * Creates a BullMQ queue that any number of processes can share. Calls succeed or fail within seconds, even when the
 * server is down or does not respond. The rules of the jobs are in `jobs.ts`.
 */
export function createBullQueue(server: RedisServer, options: BullQueueOptions): Queue {
  return new SharedQueue(server, options);
}

class SharedQueue implements Queue {
  readonly kind = 'redis';
  readonly broadcast: BullBroadcast;
  readonly #server: RedisServer;
  readonly concurrency: number;
  readonly #timers: Timers;
  readonly #bullQueue: Reopened<BullQueue>;
  readonly #groups: GroupOrder;
  readonly #jobs: Jobs;
  readonly #health: HealthWatch;
  /** Commands of urgent jobs run first, so that a manual request does not wait for thousands of sweeps. */
  readonly #semaphore = createSemaphore(MAX_CONCURRENT_COMMANDS, REASONS.length);
  #worker: JobWorker | undefined;
  #closed = false;
  #closing: Promise<void> | undefined;

  constructor(server: RedisServer, { concurrency, clock = systemTimers, logger }: BullQueueOptions) {
    this.#server = server;
    this.concurrency = concurrency;
    this.#timers = { now: () => clock.now(), wake: systemTimers.wake };
    this.#bullQueue = new Reopened(server, () => openBullQueue(server));
    this.#groups = new GroupOrder(this.#timers.now);
    this.#jobs = createJobs(this.#bullQueue, this.#timers, this.#groups);
    this.#health = new HealthWatch(server, this.#jobs.isPaused, this.#timers);
    if (logger !== undefined) this.#health.onChange((health) => log(logger, health));
    this.broadcast = createBullBroadcast(server, this.#timers);
  }

  async add(jobs: readonly Job[], options: AddOptions = {}): Promise<void> {
    for (let first = 0; first < jobs.length; first += BULK) {
      const bulk = jobs.slice(first, first + BULK);
      const rank = smallest(bulk.map(rankOf));
      await this.#withLimits((signal) => this.#addBulk(bulk, options, signal), rank);
    }
  }

  start(process: Process): void {
    this.#worker ??= new JobWorker(this.#server, {
      name: JOBS,
      concurrency: this.concurrency,
      timers: this.#timers,
      process: (job, signal) => {
        this.#groups.started(job);
        return process(job, signal);
      },
      add: (job) => this.add([job]),
      removeWakeUp: (subject) => this.#withLimits(() => this.#jobs.removeWakeUp(subject)),
    });
  }

  async idle(): Promise<void> {
    for (;;) {
      const { waiting, active, delayed } = await this.counts();
      if (waiting + active + delayed === 0 || this.#closed) return;
      await pause(IDLE_POLL_MS, this.#timers);
    }
  }

  counts(): Promise<JobCounts> {
    return this.#withLimits(() => this.#jobs.counts());
  }

  health(): QueueHealth {
    return this.#health.get();
  }

  onHealth(listener: (health: QueueHealth) => void): () => void {
    return this.#health.onChange(listener);
  }

  stop(): void {
    this.#worker?.stop();
  }

  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close(DISPOSE_GRACE_MS);
  }

  async #close(graceMs: number): Promise<void> {
    // Close the queue only after the running jobs have ended, because they may still add jobs.
    await this.#worker?.close(graceMs);
    this.#closed = true;
    this.#health.close();
    this.broadcast.close();
    await within(this.#bullQueue.close(), CLOSE_TIMEOUT_MS, this.#timers);
    this.#server.close();
  }

  async #addBulk(bulk: readonly Job[], options: AddOptions, signal: AbortSignal): Promise<void> {
    // The server may carry out a command after its caller has received an error. A job that a person requested must not
    // run after such an error, so check first that the server answers.
    if (bulk.some(({ reason }) => reason === 'manual')) await this.#jobs.isPaused();
    if (!signal.aborted) await this.#jobs.add(bulk, options, signal);
  }

  /** Applies the concurrency limit and the timeout, and converts errors to `AppError`. */
  #withLimits<T>(work: (signal: AbortSignal) => Promise<T>, rank = 0): Promise<T> {
    return this.#semaphore.run(() => this.#withTimeout(work), { priority: rank });
  }

  async #withTimeout<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#closed) throw unavailable('it is closed');
    if (!this.#server.isReady()) throw this.health().error ?? unavailable('it is not connected');
    const late = new AbortController();
    try {
      const value = work(late.signal).then((result) => ({ result }));
      const answer = await within(value, COMMAND_MS, this.#timers);
      if (answer !== undefined) return answer.result;
    } catch (thrown) {
      if (thrown instanceof AppError) throw thrown;
      this.#server.reportError(thrown);
      throw unavailable(failureOf(thrown).detail, thrown);
    } finally {
      late.abort();
    }
    throw unavailable('Redis does not answer in time');
  }
}

function openBullQueue({ connection, prefix, reportError }: RedisServer): BullQueue {
  const queue: BullQueue = new BullMqQueue(JOBS, {
    connection,
    prefix,
    // The health check reports an unsuitable Redis. BullMQ would print warnings to the console.
    skipVersionCheck: true,
    streams: { events: { maxLen: MAX_JOB_EVENTS } },
  });
  return queue.on('error', reportError);
}

function log(logger: Logger, { state, error }: QueueHealth): void {
  const fields = { kind: 'redis', state, error };
  if (error === undefined) logger.info('queue is available', fields);
  else if (state === 'degraded' || error.code === 'QUEUE_MISCONFIGURED')
    logger.error('queue needs attention', fields);
  else logger.warn('queue is not available', fields);
}
