import { toAppError } from '../../core/errors.ts';
import { isQueueOutage, type Queue } from '../../queue/queue.ts';
import type { TargetRunner } from './target-runner.ts';

/** Runs the job of a target. Returns the delay until the next run. */
export type RunTarget = TargetRunner['run'];

/**
 * Ends a manual request after its first outcome, which the caller receives. Retries run with the reason `sweep`. With
 * `manual`, they would repair drift even if the mapping is configured to only report it.
 */
export function demoteManualRetries(work: RunTarget, queue: Pick<Queue, 'add'>): RunTarget {
  return async (target, job, options) => {
    const wait = await work(target, job, options);
    if (wait === undefined || job.reason !== 'manual' || options.signal.aborted) return wait;
    try {
      await queue.add([{ ...job, reason: 'sweep' }], { delayMs: wait });
      return undefined;
    } catch (thrown) {
      // The queue is down. Retry with the reason `manual`, which is better than losing the retry.
      if (isQueueOutage(toAppError(thrown))) return wait;
      throw thrown;
    }
  };
}
