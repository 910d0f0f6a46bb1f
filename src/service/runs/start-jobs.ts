import { type AppError, toAppError } from '../../core/errors.ts';
import { pause, systemTimers, type Timers } from '../../core/timer.ts';
import { isQueueOutage, type Job, type Queue } from '../../queue/queue.ts';

/** Runs a job. Returns the delay in milliseconds until its subject must run again. */
export type RunJob = (job: Job, signal: AbortSignal) => Promise<number | undefined>;

const RETRY_MS = 1_000;

/**
 * Starts the jobs of the queue. If a run returns a delay, the wake-up is added before the job ends, so that a crash in
 * between cannot lose it.
 */
export function startJobs(
  queue: Pick<Queue, 'kind' | 'start' | 'add'>,
  run: RunJob,
  timers: Timers = systemTimers,
): void {
  queue.start(async (job, signal) => {
    const delayMs = await run(job, signal);
    while (delayMs !== undefined) {
      const error = await errorOf(queue.add([job], { delayMs }));
      // A memory queue refuses an add only after it was closed.
      if (error === undefined || queue.kind === 'memory' || signal.aborted) return;
      if (!isQueueOutage(error)) throw error;
      await pause(RETRY_MS, timers);
    }
  });
}

async function errorOf(work: Promise<void>): Promise<AppError | undefined> {
  try {
    await work;
    return undefined;
  } catch (thrown) {
    return toAppError(thrown);
  }
}
