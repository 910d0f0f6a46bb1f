import { AppError } from '../core/errors.ts';
import { MAX_TIMER_MS } from '../core/timer.ts';
import { mergeTriggers, type PendingTrigger, rankOf } from './pending-trigger.ts';
import { type Job, type Process, type Queue, REASONS } from './queue.ts';
import { createRetainedMessages, isWithinLimit } from './retained-messages.ts';
import { systemTimers, type Timers, within } from './timers.ts';

export interface MemoryQueueOptions {
  readonly concurrency: number;
  readonly timers?: Timers;
  /** For one-shot runs: if `process` throws, the queue stops and `idle` rejects with that error. */
  readonly stopOnFailure?: boolean;
}

/** How long a dispose without a prior `close` waits for running jobs. */
const DISPOSE_GRACE_MS = 60_000;

/**
 * A queue in one process, for one-shot runs, development and small installations.
 *
 * A subject is *waiting*, *delayed*, *running* or *running with a follow-up*. At most one worker runs a subject at a
 * time. A job added during a run starts a follow-up run.
 */
export function createMemoryQueue(options: MemoryQueueOptions): Queue {
  const { concurrency, timers = systemTimers, stopOnFailure = false } = options;
  const waiting: readonly Map<string, Job>[] = REASONS.map(() => new Map());
  const delayed = new Map<string, PendingTrigger & { readonly callOff: () => void }>();
  const running = new Set<string>();
  const followUps = new Map<string, PendingTrigger>();
  const remembered = new Map<string, number>();
  const idleWaiters = new Set<{ resolve: () => void; reject: (reason: unknown) => void }>();
  const ending = new AbortController();
  const messages = createRetainedMessages();
  let work: Process | undefined;
  let closed = false;
  let closing: Promise<void> | undefined;
  let failure: { readonly thrown: unknown } | undefined;

  const takeQueued = (subject: string): PendingTrigger | undefined => {
    const delayedTrigger = delayed.get(subject);
    delayedTrigger?.callOff();
    delayed.delete(subject);
    if (delayedTrigger !== undefined) return delayedTrigger;
    for (const jobs of waiting) {
      const job = jobs.get(subject);
      if (job !== undefined) return { job, dueAt: Number.NEGATIVE_INFINITY };
    }
    return undefined;
  };

  const place = (subject: string, { job, dueAt }: PendingTrigger): void => {
    const rank = rankOf(job);
    const wait = dueAt - timers.now();
    if (wait > 0) {
      const cancel = timers.wake(
        () => {
          delayed.delete(subject);
          // The timer has fired, so the job is due even if the clock was set back meanwhile.
          place(subject, { job, dueAt: wait > MAX_TIMER_MS ? dueAt : Number.NEGATIVE_INFINITY });
          pump();
        },
        Math.min(wait, MAX_TIMER_MS),
      );
      delayed.set(subject, { job, dueAt, callOff: cancel });
      return;
    }
    // A job with unchanged priority keeps its position in the queue.
    for (const [other, jobs] of waiting.entries()) if (other !== rank) jobs.delete(subject);
    waiting[rank]?.set(subject, job);
  };

  const enqueue = (trigger: PendingTrigger): void => {
    const { subject } = trigger.job;
    if (running.has(subject)) followUps.set(subject, mergeTriggers(followUps.get(subject), trigger));
    else place(subject, mergeTriggers(takeQueued(subject), trigger));
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
    if (running.size > 0 || (!stopped() && waitingCount() + delayed.size > 0)) return;
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
    let nextRun: PendingTrigger | undefined;
    try {
      const afterMs = await process(job, ending.signal);
      if (afterMs !== undefined) nextRun = { job, dueAt: timers.now() + afterMs };
    } catch (thrown) {
      failure ??= { thrown };
    } finally {
      running.delete(subject);
      const followUp = followUps.get(subject);
      followUps.delete(subject);
      if (!closed && nextRun !== undefined) enqueue(nextRun);
      if (!closed && followUp !== undefined) enqueue(followUp);
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
      waiting[rankOf(job)]?.delete(job.subject);
      running.add(job.subject);
      void run(job, work);
    }
    settle();
  };

  const idle = (): Promise<void> =>
    new Promise((resolve, reject) => {
      idleWaiters.add({ resolve, reject });
      settle();
    });

  const shut = async (graceMs: number): Promise<void> => {
    closed = true;
    for (const jobs of waiting) jobs.clear();
    for (const { callOff: cancel } of delayed.values()) cancel();
    delayed.clear();
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
    async add(job, { delayMs = 0, once } = {}) {
      if (closed) throw new AppError('QUEUE_UNAVAILABLE', { detail: 'it is closed' });
      if (once !== undefined && isRemembered(job.subject, once)) return;
      // A job without delay has no due time, because it would wait if the clock were set back.
      enqueue({ job, dueAt: delayMs > 0 ? timers.now() + delayMs : Number.NEGATIVE_INFINITY });
      pump();
    },
    start(process) {
      work = process;
      pump();
    },
    idle,
    counts: async () => ({ waiting: waitingCount(), active: running.size, delayed: delayed.size }),
    health: () => ({ state: 'up' }),
    onHealth: () => () => {},
    broadcast: {
      publish: (field, text) => {
        if (isWithinLimit(field, text)) messages.set(field, text);
      },
      subscribe: messages.subscribe,
    },
    close,
    [Symbol.asyncDispose]: () => close(DISPOSE_GRACE_MS),
  };
}
