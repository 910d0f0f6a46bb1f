import { formatTarget } from '../core/target.ts';
import { type Job, type Queue, REASONS } from './queue.ts';

/**
 * The queue in one process: for one-shot runs, development and small installations.
 *
 * A target is *waiting*, *running* or *running with a follow-up*; so two workers never have the same one, and a
 * trigger during a run is not lost.
 */
export function createMemoryQueue({ concurrency }: { readonly concurrency: number }): Queue {
  const waiting = new Map<string, Job>();
  const running = new Set<string>();
  const followUps = new Map<string, Job>();
  const idlers = new Set<{ resolve: () => void; reject: (reason: unknown) => void }>();
  let work: ((job: Job) => Promise<void>) | undefined;
  let closed = false;
  let failure: { readonly thrown: unknown } | undefined;

  const enqueue = (job: Job): void => {
    const key = formatTarget(job.target);
    if (running.has(key)) followUps.set(key, sooner(job, followUps.get(key)));
    else waiting.set(key, sooner(job, waiting.get(key)));
  };

  const settle = (): void => {
    const busy = running.size > 0 || (waiting.size > 0 && failure === undefined && !closed);
    if (busy) return;
    for (const idler of idlers) {
      if (failure === undefined) idler.resolve();
      else idler.reject(failure.thrown);
    }
    idlers.clear();
  };

  const run = async (key: string, job: Job, process: (job: Job) => Promise<void>): Promise<void> => {
    try {
      await process(job);
    } catch (thrown) {
      failure ??= { thrown };
    } finally {
      running.delete(key);
      const next = followUps.get(key);
      followUps.delete(key);
      if (next !== undefined) enqueue(next);
      pump();
    }
  };

  const pump = (): void => {
    while (work !== undefined && !closed && failure === undefined && running.size < concurrency) {
      const next = first(waiting);
      if (next === undefined) break;
      const [key, job] = next;
      waiting.delete(key);
      running.add(key);
      void run(key, job, work);
    }
    settle();
  };

  const idle = (): Promise<void> =>
    new Promise((resolve, reject) => {
      idlers.add({ resolve, reject });
      settle();
    });

  return {
    add: async (job) => {
      enqueue(job);
      pump();
    },
    start: (process) => {
      work = process;
      pump();
    },
    idle,
    [Symbol.asyncDispose]: async () => {
      closed = true;
      waiting.clear();
      followUps.clear();
      // Whoever waited for the work was told of the failure.
      failure = undefined;
      await idle();
    },
  };
}

function rank({ reason }: Job): number {
  return REASONS.indexOf(reason);
}

function sooner(job: Job, other: Job | undefined): Job {
  return other !== undefined && rank(other) <= rank(job) ? other : job;
}

/** The oldest job of the most urgent reason. */
function first(waiting: ReadonlyMap<string, Job>): [string, Job] | undefined {
  let best: [string, Job] | undefined;
  for (const [key, job] of waiting) {
    if (best === undefined || rank(job) < rank(best[1])) best = [key, job];
    if (rank(best[1]) === 0) break;
  }
  return best;
}
