import { AppError } from '../core/errors.ts';
import { LONGEST_WAKE_MS } from '../core/wake.ts';
import { createNoticeBoard, isSmall } from './notice-board.ts';
import { merged, rankOf, type Wish } from './order.ts';
import { type Job, type Process, type Queue, REASONS } from './queue.ts';
import { systemTimers, type Timers, within } from './timers.ts';

export interface MemoryQueueOptions {
  readonly concurrency: number;
  readonly timers?: Timers;
  /** For one-shot runs: what `process` throws ends the work, and `idle` rejects with it. */
  readonly stopOnFailure?: boolean;
}

/** Whoever leaves without `close` finishes what runs. */
const DISPOSE_GRACE_MS = 60_000;

/**
 * The queue in one process: for one-shot runs, development and small installations.
 *
 * A subject is *waiting*, *delayed*, *running* or *running with a follow-up*; so two workers never have the same
 * one, and a trigger during a run is not lost.
 */
export function createMemoryQueue(options: MemoryQueueOptions): Queue {
  const { concurrency, timers = systemTimers, stopOnFailure = false } = options;
  const waiting: readonly Map<string, Job>[] = REASONS.map(() => new Map());
  const delayed = new Map<string, Wish & { readonly callOff: () => void }>();
  const running = new Set<string>();
  const followUps = new Map<string, Wish>();
  const remembered = new Map<string, number>();
  const idlers = new Set<{ resolve: () => void; reject: (reason: unknown) => void }>();
  const ending = new AbortController();
  const board = createNoticeBoard();
  let work: Process | undefined;
  let closed = false;
  let closing: Promise<void> | undefined;
  let failure: { readonly thrown: unknown } | undefined;

  const takeStanding = (subject: string): Wish | undefined => {
    const late = delayed.get(subject);
    late?.callOff();
    delayed.delete(subject);
    if (late !== undefined) return late;
    for (const jobs of waiting) {
      const job = jobs.get(subject);
      if (job !== undefined) return { job, due: Number.NEGATIVE_INFINITY };
    }
    return undefined;
  };

  const place = (subject: string, { job, due }: Wish): void => {
    const rank = rankOf(job);
    const wait = due - timers.now();
    if (wait > 0) {
      const callOff = timers.wake(
        () => {
          delayed.delete(subject);
          // By the timer, since the clock may have been set back.
          place(subject, { job, due: wait > LONGEST_WAKE_MS ? due : Number.NEGATIVE_INFINITY });
          pump();
        },
        Math.min(wait, LONGEST_WAKE_MS),
      );
      delayed.set(subject, { job, due, callOff });
      return;
    }
    // One that stays as urgent as it was keeps its place.
    for (const [other, jobs] of waiting.entries()) if (other !== rank) jobs.delete(subject);
    waiting[rank]?.set(subject, job);
  };

  const enqueue = (wish: Wish): void => {
    const { subject } = wish.job;
    if (running.has(subject)) followUps.set(subject, merged(followUps.get(subject), wish));
    else place(subject, merged(takeStanding(subject), wish));
  };

  /** Whether another process of this subject took the id; there is one process, so: whether we did. */
  const isKnown = (subject: string, { id, ttlMs }: { id: string; ttlMs: number }): boolean => {
    const now = timers.now();
    for (const [key, until] of remembered) if (until <= now) remembered.delete(key);
    const key = JSON.stringify([subject, id]);
    if (remembered.has(key)) return true;
    remembered.set(key, now + ttlMs);
    return false;
  };

  const stopped = (): boolean => closed || (stopOnFailure && failure !== undefined);
  const waits = (): number => waiting.reduce((sum, jobs) => sum + jobs.size, 0);

  const settle = (): void => {
    if (running.size > 0 || (!stopped() && waits() + delayed.size > 0)) return;
    if (idlers.size === 0) return;
    for (const idler of idlers) {
      if (failure === undefined) idler.resolve();
      else idler.reject(failure.thrown);
    }
    idlers.clear();
    if (!stopOnFailure) failure = undefined;
  };

  const run = async (job: Job, process: Process): Promise<void> => {
    const { subject } = job;
    let again: Wish | undefined;
    try {
      const afterMs = await process(job, ending.signal);
      if (afterMs !== undefined) again = { job, due: timers.now() + afterMs };
    } catch (thrown) {
      failure ??= { thrown };
    } finally {
      running.delete(subject);
      const followUp = followUps.get(subject);
      followUps.delete(subject);
      if (!closed && again !== undefined) enqueue(again);
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
      idlers.add({ resolve, reject });
      settle();
    });

  const shut = async (graceMs: number): Promise<void> => {
    closed = true;
    for (const jobs of waiting) jobs.clear();
    for (const { callOff } of delayed.values()) callOff();
    delayed.clear();
    followUps.clear();
    settle();
    // Whoever waited for the work was told of the failure.
    failure = undefined;
    await within(idle(), graceMs, timers);
    ending.abort();
  };
  // What did not end in the time of the first one is not waited for again.
  const close = (graceMs: number): Promise<void> => (closing ??= shut(graceMs));

  return {
    kind: 'memory',
    async add(job, { delayMs = 0, once } = {}) {
      if (closed) throw new AppError('QUEUE_UNAVAILABLE', { detail: 'it is closed' });
      if (once !== undefined && isKnown(job.subject, once)) return;
      // At once, whatever the clock says by then: it may be set back while the subject runs.
      enqueue({ job, due: delayMs > 0 ? timers.now() + delayMs : Number.NEGATIVE_INFINITY });
      pump();
    },
    start(process) {
      work = process;
      pump();
    },
    idle,
    counts: async () => ({ waiting: waits(), active: running.size, delayed: delayed.size }),
    health: () => ({ state: 'up' }),
    onHealth: () => () => {},
    notices: {
      post: (field, text) => {
        if (isSmall(field, text)) board.tell(field, text);
      },
      subscribe: board.subscribe,
    },
    close,
    [Symbol.asyncDispose]: () => close(DISPOSE_GRACE_MS),
  };
}
