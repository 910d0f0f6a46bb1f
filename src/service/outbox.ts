import { randomBytes } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { toAppError } from '../core/errors.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { noTracer, type Tracer, withoutSuffix, withSuffix } from '../core/tracer.ts';
import { type AddOptions, isQueueOutage, type Job, type Queue, type Reason, rankOf } from '../queue/queue.ts';
import { formatSubject } from '../queue/subject.ts';
import type { Logger } from '../telemetry/logger.ts';
import { MAX_CONTEXT_AGE_MS } from './runs/sync-contexts.ts';

/**
 * Requests of this process that no run has completed yet. They are sent again, because Redis may lose queued jobs. A
 * duplicate job does no harm.
 */
export interface Outbox {
  /** Queues a run. Never throws: while the queue is down, the request waits in the outbox. */
  trigger(target: TargetId, reason: Reason, requestId: string): void;
  /** Like `trigger`, but resolves when the queue has accepted the run. @throws AppError QUEUE_UNAVAILABLE */
  request(target: TargetId, reason: Reason, requestId: string): Promise<void>;
  /**
   * Removes the requests that a run has completed. `by` is the request id of a run in another process. Such a run may
   * use values that were read before it started.
   */
  done(target: TargetId, startedAt: number, by?: string): void;
  /**
   * Returns the time of the last request for the target, in milliseconds since 1970. Values read before that time are
   * too old. Requests with the id `exceptBy` are ignored.
   */
  requestedAt(target: TargetId, exceptBy?: string): number | undefined;
  /** Returns the targets for which a request or its repetition is pending, in the order of the requests. */
  targetsOf(requestId: string): readonly TargetId[];
  /** Resends the requests that are older than this, and those that the queue did not accept. */
  resend(olderThanMs: number): void;
  /** Resends the requests that were queued up to this time, and those that the queue did not accept. */
  resendUntil(time: number): void;
  /** Removes requests for targets that are no longer desired. */
  retain(isDesired: (target: TargetId) => boolean): void;
  readonly size: number;
}

interface Entry {
  /** The job to send again. It has the most urgent reason of all requests for the target. */
  readonly job: Job;
  readonly target: TargetId;
  readonly requestedAt: number;
  readonly requestId: string;
  /** The time of the last request with another request id. */
  readonly requestedByOthersAt: number | undefined;
  addedAt: number;
}

type IsDue = (addedAt: number) => boolean;

/**
 * Number of requests that are sent concurrently. There may be thousands, and the queue may still contain all of them.
 */
const RESEND_BATCH = 500;
const NEVER = Number.NEGATIVE_INFINITY;

function withResendMark(job: Job, mark: string): Job {
  return { ...job, requestId: withSuffix(withoutSuffix(job.requestId), mark) };
}

export interface OutboxDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer?: Tracer;
}

export function createOutbox(queue: Queue, { clock, logger, tracer = noTracer }: OutboxDeps): Outbox {
  const entries = new Map<string, Entry>();
  let resending = false;
  let nextResend: IsDue | undefined;

  const add = async (entry: Entry, job: Job, options?: AddOptions): Promise<void> => {
    entry.addedAt = clock.now();
    try {
      await queue.add([job], options);
    } catch (error) {
      entry.addedAt = NEVER;
      throw error;
    }
  };
  /** Returns whether the queue accepted the job. */
  const addQuietly = async (entry: Entry, job: Job, options?: AddOptions): Promise<boolean> => {
    try {
      await add(entry, job, options);
      return true;
    } catch (thrown) {
      const error = toAppError(thrown);
      // Do not log an outage, because the queue's health reports it once.
      if (!isQueueOutage(error)) logger.error('a job could not be queued', { error });
      return false;
    }
  };
  const requestedAt = (target: TargetId, exceptBy?: string): number | undefined => {
    const entry = entries.get(formatTarget(target));
    return entry?.requestId === exceptBy ? entry?.requestedByOthersAt : entry?.requestedAt;
  };
  const enter = (target: TargetId, reason: Reason, requestId: string): { entry: Entry; job: Job } => {
    const id = formatTarget(target);
    const before = entries.get(id);
    const job = { subject: formatSubject({ kind: 'target', ...target }), reason, requestId };
    const entry = {
      job: before !== undefined && rankOf(before.job) < rankOf(job) ? before.job : job,
      target,
      requestedAt: clock.now(),
      requestId,
      requestedByOthersAt: before?.requestId === requestId ? before.requestedByOthersAt : before?.requestedAt,
      addedAt: NEVER,
    };
    entries.set(id, entry);
    tracer.recordTrigger(requestId, { reason });
    return { entry, job };
  };

  const resendAll = async (isDue: IsDue): Promise<void> => {
    const mark = randomBytes(3).toString('hex');
    const due = [...entries].filter(([, { addedAt }]) => addedAt === NEVER || isDue(addedAt));
    for (let first = 0; first < due.length; first += RESEND_BATCH) {
      const batch = due.slice(first, first + RESEND_BATCH).filter(([id, entry]) => entries.get(id) === entry);
      const taken = await Promise.all(
        batch.map(([, entry]) => addQuietly(entry, withResendMark(entry.job, mark), { repeat: true })),
      );
      // The queue is down. When its health recovers, the requests are sent again.
      if (batch.length > 0 && !taken.includes(true)) return;
    }
  };
  const resend = async (isDue: IsDue): Promise<void> => {
    if (resending) {
      const other = nextResend;
      nextResend = other === undefined ? isDue : (addedAt) => other(addedAt) || isDue(addedAt);
      return;
    }
    resending = true;
    for (let next: IsDue | undefined = isDue; next !== undefined; next = nextResend) {
      nextResend = undefined;
      await resendAll(next);
    }
    resending = false;
  };

  return {
    trigger(target, reason, requestId) {
      const { entry, job } = enter(target, reason, requestId);
      void addQuietly(entry, job);
    },
    async request(target, reason, requestId) {
      const id = formatTarget(target);
      const before = entries.get(id);
      const { entry, job } = enter(target, reason, requestId);
      try {
        await add(entry, job);
      } catch (error) {
        // The caller receives the error and may retry. Restore the earlier request, because no other place stores it.
        if (entries.get(id) === entry) {
          if (before === undefined) entries.delete(id);
          else entries.set(id, before);
        }
        throw error;
      }
    },
    done(target, startedAt, by) {
      const id = formatTarget(target);
      const entry = entries.get(id);
      const isOwnRun = by === undefined || withoutSuffix(by) === entry?.requestId;
      const readAt = isOwnRun ? startedAt : startedAt - MAX_CONTEXT_AGE_MS;
      // A time in the future shows that the clock was set back.
      if (entry !== undefined && (entry.requestedAt <= readAt || entry.requestedAt > clock.now()))
        entries.delete(id);
    },
    requestedAt,
    targetsOf(requestId) {
      const first = withoutSuffix(requestId);
      return [...entries.values()]
        .filter(({ requestId: by }) => withoutSuffix(by) === first)
        .map(({ target }) => target);
    },
    resend: (olderThanMs) => void resend((addedAt) => Math.abs(clock.now() - addedAt) >= olderThanMs),
    // A time in the future shows that the clock was set back.
    resendUntil: (time) => void resend((addedAt) => addedAt <= time || addedAt > clock.now()),
    retain(isDesired) {
      for (const [id, { target }] of entries) if (!isDesired(target)) entries.delete(id);
    },
    get size() {
      return entries.size;
    },
  };
}
