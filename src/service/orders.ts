import type { Clock } from '../core/clock.ts';
import { toAppError } from '../core/errors.ts';
import type { TargetId } from '../core/target.ts';
import { withoutSuffix } from '../core/tracer.ts';
import { isQueueOutage, type Job, type Queue } from '../queue/queue.ts';
import { formatSubject } from '../queue/subject.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Outbox } from './outbox.ts';

/** An order is forgotten after this time, for example if its target is no longer desired. */
const MAX_AGE_MS = 600_000;

/**
 * Tracks orders: requests of persons that this process has queued and that have no result yet. During a run, the queue
 * keeps at most one further job for the same target. A newer add may replace the reason and request id of that job. So
 * an order is queued again after each run that another request caused.
 */
export interface Orders {
  /** @throws AppError QUEUE_UNAVAILABLE. The order is then forgotten. */
  place(target: TargetId, requestId: string): Promise<void>;
  /** Takes the result of a run, whichever process ran it. */
  noteRun(target: TargetId, requestId: string): void;
}

export function createOrders({
  outbox,
  queue,
  clock,
  logger,
}: {
  readonly outbox: Pick<Outbox, 'request'>;
  readonly queue: Pick<Queue, 'add'>;
  readonly clock: Clock;
  readonly logger: Logger;
}): Orders {
  const orders = new Map<string, { readonly job: Job; readonly at: number }>();
  const addAgain = async (job: Job): Promise<void> => {
    try {
      await queue.add([job]);
    } catch (thrown) {
      const error = toAppError(thrown);
      // The outbox sends the request again when the queue has recovered.
      if (!isQueueOutage(error)) logger.error('a job could not be queued', { error });
    }
  };
  return {
    async place(target, requestId) {
      const now = clock.now();
      for (const [subject, { at }] of orders) if (Math.abs(now - at) > MAX_AGE_MS) orders.delete(subject);
      const subject = formatSubject({ kind: 'target', ...target });
      const order = { job: { subject, reason: 'manual', requestId }, at: now } as const;
      // The run may end before its add has returned.
      orders.set(subject, order);
      try {
        await outbox.request(target, 'manual', requestId);
      } catch (thrown) {
        if (orders.get(subject) === order) orders.delete(subject);
        throw thrown;
      }
    },
    noteRun(target, requestId) {
      const subject = formatSubject({ kind: 'target', ...target });
      const order = orders.get(subject);
      if (order === undefined) return;
      const isDone = withoutSuffix(requestId) === order.job.requestId;
      if (isDone || Math.abs(clock.now() - order.at) > MAX_AGE_MS) orders.delete(subject);
      else void addAgain(order.job);
    },
  };
}
