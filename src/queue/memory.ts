import { AppError } from '../core/errors.ts';
import { MAX_TIMER_MS, systemTimers, type Timers, within } from '../core/timer.ts';
import {
  type AddOptions,
  type Broadcast,
  isWithinLimit,
  type Job,
  type JobCounts,
  type MessageListener,
  type Process,
  type Queue,
  type QueueHealth,
} from './queue.ts';
import { merge, WaitingJobs } from './waiting-jobs.ts';

export interface MemoryQueueOptions {
  readonly concurrency: number;
  readonly timers?: Timers;
  /** For one-shot runs: if `process` throws, the queue stops and `idle` rejects with that error. */
  readonly stopOnFailure?: boolean;
}

/** How long a dispose without a prior `close` waits for running jobs. */
const DISPOSE_GRACE_MS = 60_000;

/** Creates a queue in one process, for one-shot runs, development and small installations. */
export function createMemoryQueue(options: MemoryQueueOptions): Queue {
  return new MemoryQueue(options);
}

class MemoryQueue implements Queue {
  readonly kind = 'memory';
  readonly broadcast = createLocalBroadcast();
  readonly concurrency: number;
  readonly #timers: Timers;
  readonly #stopOnFailure: boolean;
  readonly #wakeUps: WakeUps;
  readonly #waiting = new WaitingJobs();
  readonly #running = new Set<string>();
  /** The jobs that were added during a run of their subject. */
  readonly #followUps = new Map<string, Job>();
  /** For each `once` that was passed to an add, the time when it expires. */
  readonly #remembered = new Map<string, number>();
  readonly #idleWaiters = new Set<PromiseWithResolvers<void>>();
  readonly #ending = new AbortController();
  #process: Process | undefined;
  #failure: { readonly thrown: unknown } | undefined;
  #closed = false;
  #closing: Promise<void> | undefined;

  constructor({ concurrency, timers = systemTimers, stopOnFailure = false }: MemoryQueueOptions) {
    this.concurrency = concurrency;
    this.#timers = timers;
    this.#stopOnFailure = stopOnFailure;
    this.#wakeUps = new WakeUps(timers, (job) => {
      this.#enqueue(job, false);
      this.#pump();
    });
  }

  async add(jobs: readonly Job[], { delayMs = 0, once, repeat = false }: AddOptions = {}): Promise<void> {
    if (this.#closed) throw new AppError('QUEUE_UNAVAILABLE', { detail: 'it is closed' });
    for (const job of jobs) {
      if (once !== undefined && this.#isRemembered(job.subject, once)) continue;
      if (delayMs > 0) this.#wakeUps.add(job, delayMs);
      else this.#enqueue(job, repeat);
    }
    this.#pump();
  }

  start(process: Process): void {
    this.#process = process;
    this.#pump();
  }

  idle(): Promise<void> {
    const waiter = Promise.withResolvers<void>();
    this.#idleWaiters.add(waiter);
    this.#settle();
    return waiter.promise;
  }

  async counts(): Promise<JobCounts> {
    return { waiting: this.#waiting.size, active: this.#running.size, delayed: this.#wakeUps.size };
  }

  health(): QueueHealth {
    return { state: 'up' };
  }

  onHealth(): () => void {
    return () => {};
  }

  /** A second call returns the first promise, so it does not wait for another grace period. */
  stop(): void {
    this.#ending.abort(new AppError('INTERRUPTED'));
  }

  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close(DISPOSE_GRACE_MS);
  }

  async #close(graceMs: number): Promise<void> {
    this.stop();
    this.#closed = true;
    this.#waiting.clear();
    this.#wakeUps.clear();
    this.#followUps.clear();
    this.#settle();
    // `#settle` has passed the failure to the callers of `idle`. Forget the failure, so that the wait for running jobs
    // does not reject with it too.
    this.#failure = undefined;
    await within(this.idle(), graceMs, this.#timers);
  }

  #enqueue(job: Job, repeat: boolean): void {
    const { subject } = job;
    if (this.#running.has(subject))
      this.#followUps.set(subject, merge(this.#followUps.get(subject), job, repeat));
    else this.#waiting.add(job, repeat);
  }

  /** Returns whether this subject was already added with this id, and remembers the id if not. */
  #isRemembered(subject: string, { id, ttlMs }: NonNullable<AddOptions['once']>): boolean {
    const now = this.#timers.now();
    for (const [key, until] of this.#remembered) if (until <= now) this.#remembered.delete(key);
    const key = JSON.stringify([subject, id]);
    if (this.#remembered.has(key)) return true;
    this.#remembered.set(key, now + ttlMs);
    return false;
  }

  /** Starts as many jobs as may run. */
  #pump(): void {
    while (this.#process !== undefined && !this.#isStopped() && this.#running.size < this.concurrency) {
      const job = this.#waiting.take();
      if (job === undefined) break;
      void this.#run(job, this.#process);
    }
    this.#settle();
  }

  async #run(job: Job, process: Process): Promise<void> {
    const { subject } = job;
    this.#running.add(subject);
    this.#wakeUps.remove(subject);
    try {
      await process(job, this.#ending.signal);
    } catch (thrown) {
      // After a close, no caller waits for the failure.
      if (!this.#closed) this.#failure ??= { thrown };
    } finally {
      this.#running.delete(subject);
      const followUp = this.#followUps.get(subject);
      this.#followUps.delete(subject);
      if (!this.#closed && followUp !== undefined) this.#enqueue(followUp, false);
      this.#pump();
    }
  }

  /** Ends the waits of `idle` when nothing is left to run. */
  #settle(): void {
    const left = this.#isStopped() ? 0 : this.#waiting.size + this.#wakeUps.size;
    if (this.#running.size + left > 0 || this.#idleWaiters.size === 0) return;
    for (const waiter of this.#idleWaiters) {
      if (this.#failure === undefined) waiter.resolve();
      else waiter.reject(this.#failure.thrown);
    }
    this.#idleWaiters.clear();
    if (!this.#stopOnFailure) this.#failure = undefined;
  }

  #isStopped(): boolean {
    return this.#ending.signal.aborted || (this.#stopOnFailure && this.#failure !== undefined);
  }
}

function createLocalBroadcast(): Broadcast {
  const listeners = new Set<MessageListener>();
  return {
    send(topic, text) {
      if (isWithinLimit(topic, text)) for (const listener of listeners) listener(topic, text);
    },
    subscribe(listener) {
      // Use a new function for each call, so that two subscriptions of the same listener are independent.
      const own: MessageListener = (topic, text) => listener(topic, text);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
  };
}

/** The jobs that are not due yet, at most one for each subject. */
class WakeUps {
  readonly #timers: Timers;
  readonly #onDue: (job: Job) => void;
  readonly #bySubject = new Map<string, { readonly job: Job; readonly dueAt: number; cancel: () => void }>();

  constructor(timers: Timers, onDue: (job: Job) => void) {
    this.#timers = timers;
    this.#onDue = onDue;
  }

  get size(): number {
    return this.#bySubject.size;
  }

  add(job: Job, delayMs: number): void {
    const { subject } = job;
    const before = this.#bySubject.get(subject);
    const dueAt = Math.min(before?.dueAt ?? Number.POSITIVE_INFINITY, this.#timers.now() + delayMs);
    const merged = merge(before?.job, job, false);
    this.remove(subject);
    const waitMs = Math.max(0, Math.min(dueAt - this.#timers.now(), MAX_TIMER_MS));
    const cancel = this.#timers.wake(() => {
      this.#bySubject.delete(subject);
      // The timer has fired, so the job is due even if the clock was set back meanwhile.
      if (waitMs < MAX_TIMER_MS) this.#onDue(merged);
      else this.add(merged, dueAt - this.#timers.now());
    }, waitMs);
    this.#bySubject.set(subject, { job: merged, dueAt, cancel });
  }

  remove(subject: string): void {
    this.#bySubject.get(subject)?.cancel();
    this.#bySubject.delete(subject);
  }

  clear(): void {
    for (const subject of [...this.#bySubject.keys()]) this.remove(subject);
  }
}
