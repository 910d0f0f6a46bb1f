import { toAppError } from '../../core/errors.ts';
import { type Queue, isQueueOutage } from '../../queue/queue.ts';
import type { TargetRunner } from './target-runner.ts';

/**
 * What a person asked for ends with its first outcome, of which they are told. The looks that follow a failure are
 * ours: in their name, an edit by hand of later would be undone where it is to be reported.
 */
export function demoteManualRetries(work: TargetRunner, queue: Pick<Queue, 'add'>): TargetRunner {
  return async (target, job, signal) => {
    const wait = await work(target, job, signal);
    if (wait === undefined || job.reason !== 'manual' || signal.aborted) return wait;
    try {
      await queue.add({ ...job, reason: 'sweep' }, { delayMs: wait });
      return undefined;
    } catch (thrown) {
      // Whoever takes the wait keeps it until the queue is back: better in their name than not at all.
      if (isQueueOutage(toAppError(thrown))) return wait;
      throw thrown;
    }
  };
}
