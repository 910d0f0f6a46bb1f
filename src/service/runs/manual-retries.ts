import { toAppError } from '../../core/errors.ts';
import { isQueueOutage, type Queue } from '../../queue/queue.ts';
import type { TargetRunner } from './target-runner.ts';

/**
 * Ends a manual request with its first outcome, which its caller receives. Retries run under the reason `sweep`. Under
 * `manual` they would repair later drift that the mapping only reports.
 */
export function demoteManualRetries(work: TargetRunner, queue: Pick<Queue, 'add'>): TargetRunner {
  return async (target, job, signal) => {
    const wait = await work(target, job, signal);
    if (wait === undefined || job.reason !== 'manual' || signal.aborted) return wait;
    try {
      await queue.add({ ...job, reason: 'sweep' }, { delayMs: wait });
      return undefined;
    } catch (thrown) {
      // The queue is down. The caller keeps the retry under `manual`, which is better than losing it.
      if (isQueueOutage(toAppError(thrown))) return wait;
      throw thrown;
    }
  };
}
