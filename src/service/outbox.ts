import { randomBytes } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { toAppError } from '../core/errors.ts';
import { withSuffix, withoutSuffix } from '../core/request-id.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { noTracer, type Tracer } from '../core/tracer.ts';
import type { Logger } from '../log/logger.ts';
import { rankOf } from '../queue/pending-trigger.ts';
import { type Job, type Queue, type Reason, isQueueOutage } from '../queue/queue.ts';
import { formatSubject } from '../queue/subject.ts';
import { type RequestTime, MAX_CONTEXT_AGE_MS } from './runs/sync-contexts.ts';

/**
 * What this process has asked for and has not yet seen done. The queue may lose a job with Redis; what stands here is
 * asked for again, and a job too many does no harm.
 */
export interface Outbox {
  /** Never throws: what cannot be queued now is queued later. */
  trigger(target: TargetId, reason: Reason, requestId: string): void;
  /** The same for somebody who waits. @throws AppError QUEUE_UNAVAILABLE */
  request(target: TargetId, reason: Reason, requestId: string): Promise<void>;
  /**
   * A run that began then has ended. With the request that another process did it for: what that went by may have been
   * read before another request asked.
   */
  done(target: TargetId, startedAt: number, by?: string): void;
  /** When it was last asked for; with a request id, by any other request. What was read before that is too old. */
  requestedAt(target: TargetId, exceptBy?: string): number | undefined;
  /** The same, told apart from what was begun in the same millisecond. */
  lastRequest(target: TargetId, exceptBy?: string): RequestTime | undefined;
  /** The last tick in which something was asked for. What is begun from now on is newer than all that was. */
  readonly tick: number;
  /** What is open by this request or the one that it repeats, in the order in which it was asked for. */
  targetsOf(requestId: string): readonly TargetId[];
  /** Asks again for what is older than that, and for what could not be queued. */
  resend(olderThanMs: number): void;
  /** Asks again for all but what was queued later than that. */
  resendUntil(time: number): void;
  /** Forgets what nobody wants any more. */
  retain(isDesired: (target: TargetId) => boolean): void;
  readonly size: number;
}

interface Entry {
  /** What is asked for again: the most urgent that was asked for. */
  readonly job: Job;
  readonly target: TargetId;
  readonly requested: RequestTime;
  readonly requestId: string;
  /** When a request other than the last one asked. */
  readonly requestedByOthers: RequestTime | undefined;
  addedAt: number;
}

type IsDue = (addedAt: number) => boolean;

/** So many at a time: the queue may hold them all already. */
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
  let tick = 0;
  let currentRequest: string | undefined;
  let resending = false;
  let nextResend: IsDue | undefined;

  const add = async (entry: Entry, job: Job): Promise<void> => {
    entry.addedAt = clock.now();
    try {
      await queue.add(job);
    } catch (error) {
      entry.addedAt = NEVER;
      throw error;
    }
  };
  /** Whether the queue took it. */
  const addQuietly = async (entry: Entry, job: Job): Promise<boolean> => {
    try {
      await add(entry, job);
      return true;
    } catch (thrown) {
      const error = toAppError(thrown);
      // The state of the queue is told once, by its health.
      if (!isQueueOutage(error)) logger.error('a job could not be queued', { error });
      return false;
    }
  };
  const tickFor = (requestId: string): number => {
    if (currentRequest !== requestId) {
      tick += 1;
      currentRequest = requestId;
      // What it asks for later it may have learnt later.
      queueMicrotask(() => {
        if (currentRequest === requestId) currentRequest = undefined;
      });
    }
    return tick;
  };
  const lastRequest = (target: TargetId, exceptBy?: string): RequestTime | undefined => {
    const entry = entries.get(formatTarget(target));
    return entry?.requestId === exceptBy ? entry?.requestedByOthers : entry?.requested;
  };
  const enter = (target: TargetId, reason: Reason, requestId: string): { entry: Entry; job: Job } => {
    const id = formatTarget(target);
    const before = entries.get(id);
    const job = { subject: formatSubject({ kind: 'target', ...target }), reason, requestId };
    const entry = {
      job: before !== undefined && rankOf(before.job) < rankOf(job) ? before.job : job,
      target,
      requested: { at: clock.now(), tick: tickFor(requestId) },
      requestId,
      requestedByOthers: before?.requestId === requestId ? before.requestedByOthers : before?.requested,
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
        batch.map(([, entry]) => addQuietly(entry, withResendMark(entry.job, mark))),
      );
      // The queue is away, and says so when it is back.
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
        // Whoever waited is told, and asks again. What was asked for before, nobody else remembers.
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
      // One that is yet to come is of a clock that was set back since.
      if (entry !== undefined && (entry.requested.at <= readAt || entry.requested.at > clock.now()))
        entries.delete(id);
    },
    requestedAt: (target, exceptBy) => lastRequest(target, exceptBy)?.at,
    lastRequest,
    get tick() {
      return tick;
    },
    targetsOf(requestId) {
      const first = withoutSuffix(requestId);
      return [...entries.values()]
        .filter(({ requestId: by }) => withoutSuffix(by) === first)
        .map(({ target }) => target);
    },
    resend: (olderThanMs) => void resend((addedAt) => Math.abs(clock.now() - addedAt) >= olderThanMs),
    // One that is yet to come is of a clock that was set back since.
    resendUntil: (time) => void resend((addedAt) => addedAt <= time || addedAt > clock.now()),
    retain(isDesired) {
      for (const [id, { target }] of entries) if (!isDesired(target)) entries.delete(id);
    },
    get size() {
      return entries.size;
    },
  };
}
