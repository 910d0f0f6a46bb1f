import { randomBytes } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { toAppError } from '../core/errors.ts';
import { withMark, withoutMark } from '../core/request-id.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { noTracer, type Tracer } from '../core/tracer.ts';
import type { Logger } from '../log/logger.ts';
import { rankOf } from '../queue/order.ts';
import { type Job, type Queue, type Reason, saysHealth } from '../queue/queue.ts';
import { formatSubject } from '../queue/subject.ts';
import { type Asked, PASS_MS } from './runs/passes.ts';

/**
 * What this process has asked for and has not yet seen done. The queue may lose a job with Redis; what stands here
 * is asked for again, and a job too many does no harm.
 */
export interface Ledger {
  /** Never throws: what cannot be queued now is queued later. */
  trigger(target: TargetId, reason: Reason, requestId: string): void;
  /** The same for somebody who waits. @throws AppError QUEUE_UNAVAILABLE */
  request(target: TargetId, reason: Reason, requestId: string): Promise<void>;
  /**
   * A run that began then has ended. With the request that another process did it for: what that went by may have
   * been read before another request asked.
   */
  done(target: TargetId, startedAt: number, by?: string): void;
  /** When it was last asked for; with a request id, by any other request. What was read before that is too old. */
  since(target: TargetId, exceptBy?: string): number | undefined;
  /** The same, told apart from what was begun in the same millisecond. */
  asked(target: TargetId, exceptBy?: string): Asked | undefined;
  /** The last turn in which something was asked for. What is begun from now on is newer than all that was. */
  readonly turn: number;
  /** What is open by this request or the one that it repeats, in the order in which it was asked for. */
  of(requestId: string): readonly TargetId[];
  /** Asks again for what is older than that, and for what could not be queued. */
  repeat(olderThanMs: number): void;
  /** Asks again for all but what was queued later than that. */
  repeatUntil(time: number): void;
  /** Forgets what nobody wants any more. */
  keep(isWanted: (target: TargetId) => boolean): void;
  readonly size: number;
}

interface Open {
  /** What is asked for again: the most urgent that was asked for. */
  readonly job: Job;
  readonly target: TargetId;
  readonly asked: Asked;
  readonly by: string;
  /** When a request other than the last one asked. */
  readonly askedByOthers: Asked | undefined;
  addedAt: number;
}

type IsDue = (addedAt: number) => boolean;

/** So many at a time: the queue may hold them all already. */
const REPEATED_AT_ONCE = 500;
const NEVER = Number.NEGATIVE_INFINITY;

function again(job: Job, mark: string): Job {
  return { ...job, requestId: withMark(withoutMark(job.requestId), mark) };
}

export interface LedgerDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tracer?: Tracer;
}

export function createLedger(queue: Queue, { clock, logger, tracer = noTracer }: LedgerDeps): Ledger {
  const open = new Map<string, Open>();
  let turn = 0;
  let asking: string | undefined;
  let repeating = false;
  let repeatNext: IsDue | undefined;

  const add = async (entry: Open, job: Job): Promise<void> => {
    entry.addedAt = clock.now();
    try {
      await queue.add(job);
    } catch (error) {
      entry.addedAt = NEVER;
      throw error;
    }
  };
  /** Whether the queue took it. */
  const addQuietly = async (entry: Open, job: Job): Promise<boolean> => {
    try {
      await add(entry, job);
      return true;
    } catch (thrown) {
      const error = toAppError(thrown);
      // The state of the queue is told once, by its health.
      if (!saysHealth(error)) logger.error('a job could not be queued', { error });
      return false;
    }
  };
  const turnOf = (requestId: string): number => {
    if (asking !== requestId) {
      turn += 1;
      asking = requestId;
      // What it asks for later it may have learnt later.
      queueMicrotask(() => {
        if (asking === requestId) asking = undefined;
      });
    }
    return turn;
  };
  const asked = (target: TargetId, exceptBy?: string): Asked | undefined => {
    const entry = open.get(formatTarget(target));
    return entry?.by === exceptBy ? entry?.askedByOthers : entry?.asked;
  };
  const enter = (target: TargetId, reason: Reason, requestId: string): { entry: Open; job: Job } => {
    const id = formatTarget(target);
    const before = open.get(id);
    const job = { subject: formatSubject({ kind: 'target', ...target }), reason, requestId };
    const entry = {
      job: before !== undefined && rankOf(before.job) < rankOf(job) ? before.job : job,
      target,
      asked: { at: clock.now(), turn: turnOf(requestId) },
      by: requestId,
      askedByOthers: before?.by === requestId ? before.askedByOthers : before?.asked,
      addedAt: NEVER,
    };
    open.set(id, entry);
    tracer.trigger(requestId, { reason });
    return { entry, job };
  };

  const repeatAll = async (isDue: IsDue): Promise<void> => {
    const mark = randomBytes(3).toString('hex');
    const due = [...open].filter(([, { addedAt }]) => addedAt === NEVER || isDue(addedAt));
    for (let first = 0; first < due.length; first += REPEATED_AT_ONCE) {
      const some = due.slice(first, first + REPEATED_AT_ONCE).filter(([id, entry]) => open.get(id) === entry);
      const taken = await Promise.all(some.map(([, entry]) => addQuietly(entry, again(entry.job, mark))));
      // The queue is away, and says so when it is back.
      if (some.length > 0 && !taken.includes(true)) return;
    }
  };
  const repeat = async (isDue: IsDue): Promise<void> => {
    if (repeating) {
      const other = repeatNext;
      repeatNext = other === undefined ? isDue : (addedAt) => other(addedAt) || isDue(addedAt);
      return;
    }
    repeating = true;
    for (let next: IsDue | undefined = isDue; next !== undefined; next = repeatNext) {
      repeatNext = undefined;
      await repeatAll(next);
    }
    repeating = false;
  };

  return {
    trigger(target, reason, requestId) {
      const { entry, job } = enter(target, reason, requestId);
      void addQuietly(entry, job);
    },
    async request(target, reason, requestId) {
      const id = formatTarget(target);
      const before = open.get(id);
      const { entry, job } = enter(target, reason, requestId);
      try {
        await add(entry, job);
      } catch (error) {
        // Whoever waited is told, and asks again. What was asked for before, nobody else remembers.
        if (open.get(id) === entry) {
          if (before === undefined) open.delete(id);
          else open.set(id, before);
        }
        throw error;
      }
    },
    done(target, startedAt, by) {
      const id = formatTarget(target);
      const entry = open.get(id);
      const isIts = by === undefined || withoutMark(by) === entry?.by;
      const readAt = isIts ? startedAt : startedAt - PASS_MS;
      // One that is yet to come is of a clock that was set back since.
      if (entry !== undefined && (entry.asked.at <= readAt || entry.asked.at > clock.now())) open.delete(id);
    },
    since: (target, exceptBy) => asked(target, exceptBy)?.at,
    asked,
    get turn() {
      return turn;
    },
    of(requestId) {
      const first = withoutMark(requestId);
      return [...open.values()].filter(({ by }) => withoutMark(by) === first).map(({ target }) => target);
    },
    repeat: (olderThanMs) => void repeat((addedAt) => Math.abs(clock.now() - addedAt) >= olderThanMs),
    // One that is yet to come is of a clock that was set back since.
    repeatUntil: (time) => void repeat((addedAt) => addedAt <= time || addedAt > clock.now()),
    keep(isWanted) {
      for (const [id, { target }] of open) if (!isWanted(target)) open.delete(id);
    },
    get size() {
      return open.size;
    },
  };
}
