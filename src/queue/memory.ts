import { AppError } from '../core/errors.ts';
import { MAX_TIMER_MS, systemTimers, type Timers, within } from '../core/timer.ts';
import {
  isWithinLimit,
  type Job,
  type MessageListener,
  type Process,
  type Queue,
  REASONS,
  rankOf,
} from './queue.ts';

export interface MemoryQueueOptions {
  readonly concurrency: number;
  readonly timers?: Timers;
  /** For one-shot runs: if `process` throws, the queue stops and `idle` rejects with that error. */
  readonly stopOnFailure?: boolean;
}

/** How long a dispose without a prior `close` waits for running jobs. */
const DISPOSE_GRACE_MS = 60_000;

/** Creates a queue in one process, for one-shot runs, development and small installations. */
export function createMemoryQueue({
  concurrency,
  timers = systemTimers,
  stopOnFailure = false,
}: MemoryQueueOptions): Queue {
  /** For each rank, the waiting jobs by subject. */
  const waiting: readonly Map<string, Job>[] = REASONS.map(() => new Map());
  const running = new Set<string>();
  /** The jobs that were added during a run of their subject. */
  const followUps = new Map<string, Job>();
  const wakeUps = createWakeUps(timers);
  const remembered = new Map<string, number>();
  const idleWaiters = new Set<PromiseWithResolvers<void>>();
  const listeners = new Set<MessageListener>();
  const ending = new AbortController();
  let work: Process | undefined;
  let closed = false;
  let closing: Promise<void> | undefined;
  let failure: { readonly thrown: unknown } | undefined;

  const enqueue = (job: Job, repeat: boolean): void => {
    const { subject } = job;
    if (running.has(subject)) {
      followUps.set(subject, merge(followUps.get(subject), job, repeat));
      return;
    }
    const before = waiting.map((jobs) => jobs.get(subject)).find((found) => found !== undefined);
    const merged = merge(before, job, repeat);
    if (before !== undefined && rankOf(before) !== rankOf(merged)) waiting[rankOf(before)]?.delete(subject);
    // A job with unchanged priority keeps its position in the queue.
    waiting[rankOf(merged)]?.set(subject, merged);
  };

  /** Returns whether this subject was already added with this id. If not, remembers the id. */
  const isRemembered = (subject: string, { id, ttlMs }: { id: string; ttlMs: number }): boolean => {
    const now = timers.now();
    for (const [key, until] of remembered) if (until <= now) remembered.delete(key);
    const key = JSON.stringify([subject, id]);
    if (remembered.has(key)) return true;
    remembered.set(key, now + ttlMs);
    return false;
  };

  const stopped = (): boolean => closed || (stopOnFailure && failure !== undefined);
  const waitingCount = (): number => waiting.reduce((sum, jobs) => sum + jobs.size, 0);

  const settle = (): void => {
    if (running.size > 0 || (!stopped() && waitingCount() + wakeUps.size > 0)) return;
    if (idleWaiters.size === 0) return;
    for (const idler of idleWaiters) {
      if (failure === undefined) idler.resolve();
      else idler.reject(failure.thrown);
    }
    idleWaiters.clear();
    if (!stopOnFailure) failure = undefined;
  };

  const run = async (job: Job, process: Process): Promise<void> => {
    const { subject } = job;
    running.add(subject);
    waiting[rankOf(job)]?.delete(subject);
    wakeUps.remove(subject);
    try {
      await process(job, ending.signal);
    } catch (thrown) {
      // After a close, no caller waits for the failure.
      if (!closed) failure ??= { thrown };
    } finally {
      running.delete(subject);
      const followUp = followUps.get(subject);
      followUps.delete(subject);
      if (!closed && followUp !== undefined) enqueue(followUp, false);
      pump();
    }
  };

  const next = (): Job | undefined => {
    for (const jobs of waiting) for (const job of jobs.values()) return job;
    return undefined;
  };

  const pump = (): void => {
    while (work !== undefined && !stopped() && running.size < concurrency) {
      const job = next();
      if (job === undefined) break;
      void run(job, work);
    }
    settle();
  };

  const idle = (): Promise<void> => {
    const waiter = Promise.withResolvers<void>();
    idleWaiters.add(waiter);
    settle();
    return waiter.promise;
  };

  const shut = async (graceMs: number): Promise<void> => {
    closed = true;
    for (const jobs of waiting) jobs.clear();
    wakeUps.clear();
    followUps.clear();
    settle();
    // `settle` has passed the failure to the callers of `idle`. The wait for running jobs must not reject with it
    // again.
    failure = undefined;
    await within(idle(), graceMs, timers);
    ending.abort();
  };
  // A second call returns the first promise, so it does not wait for another grace period.
  const close = (graceMs: number): Promise<void> => (closing ??= shut(graceMs));

  return {
    kind: 'memory',
    async add(jobs, { delayMs = 0, once, repeat = false } = {}) {
      if (closed) throw new AppError('QUEUE_UNAVAILABLE', { detail: 'it is closed' });
      for (const job of jobs) {
        if (once !== undefined && isRemembered(job.subject, once)) continue;
        if (delayMs <= 0) enqueue(job, repeat);
        else
          wakeUps.add(job, delayMs, (due) => {
            enqueue(due, false);
            pump();
          });
      }
      pump();
    },
    start(process) {
      work = process;
      pump();
    },
    idle,
    counts: async () => ({ waiting: waitingCount(), active: running.size, delayed: wakeUps.size }),
    health: () => ({ state: 'up' }),
    onHealth: () => () => {},
    broadcast: {
      send(topic, text) {
        if (isWithinLimit(topic, text)) for (const listener of listeners) listener(topic, text);
      },
      subscribe(listener) {
        // Use a new function for each call, so that two subscriptions of the same listener are independent.
        const own: MessageListener = (topic, text) => listener(topic, text);
        listeners.add(own);
        return () => void listeners.delete(own);
      },
    },
    close,
    [Symbol.asyncDispose]: () => close(DISPOSE_GRACE_MS),
  };
}

/**
 * Returns the more urgent job. If both are equally urgent, returns the newer one, because a person may wait for its
 * request id.
 */
function merge(older: Job | undefined, newer: Job, repeat: boolean): Job {
  if (older === undefined) return newer;
  return !repeat && rankOf(newer) <= rankOf(older) ? newer : older;
}

/** Stores the jobs that are not due yet, by subject. */
function createWakeUps(timers: Timers) {
  const bySubject = new Map<string, { readonly job: Job; readonly dueAt: number; cancel: () => void }>();
  const remove = (subject: string): void => {
    bySubject.get(subject)?.cancel();
    bySubject.delete(subject);
  };
  const add = (job: Job, delayMs: number, onDue: (job: Job) => void): void => {
    const { subject } = job;
    const before = bySubject.get(subject);
    const dueAt = Math.min(before?.dueAt ?? Number.POSITIVE_INFINITY, timers.now() + delayMs);
    const merged = merge(before?.job, job, false);
    remove(subject);
    const waitMs = Math.max(0, Math.min(dueAt - timers.now(), MAX_TIMER_MS));
    const cancel = timers.wake(() => {
      bySubject.delete(subject);
      // The timer has fired, so the job is due even if the clock was set back meanwhile.
      if (waitMs < MAX_TIMER_MS) onDue(merged);
      else add(merged, dueAt - timers.now(), onDue);
    }, waitMs);
    bySubject.set(subject, { job: merged, dueAt, cancel });
  };
  return {
    add,
    remove,
    clear: () => [...bySubject.keys()].forEach(remove),
    get size() {
      return bySubject.size;
    },
  };
}
