import type { Clock } from '../../core/clock.ts';
import type { Job } from '../../queue/queue.ts';

/**
 * When something was requested for. A sweep asks for all targets of a key in one turn, and the first of them is worked on
 * before the last one is requested for: what is read for it is new enough for them all.
 */
export interface RequestTime {
  /** In milliseconds since 1970. */
  readonly at: number;
  /** Counted, since many intervals may be in one millisecond. */
  readonly tick: number;
}

export interface SyncContexts<Context> {
  /** The context of a request; a new one if what it has read is not newer than a moment, and than what was requested for. */
  get(job: Pick<Job, 'requestId' | 'reason'>, notBefore: number, requested?: RequestTime): Promise<Context>;
  /** Nobody else will ask for the context of this request: lets go of the values in it. */
  end(job: Pick<Job, 'requestId' | 'reason'>): void;
  /** Lets go of those whose time is over, and of the values in them. */
  evict(): void;
  /** Lets go of all: what was begun under another configuration is of no use. */
  clear(): void;
}

/** What was read longer ago is old: a context reads it anew. A context that nobody asks for is over after as long. */
export const MAX_CONTEXT_AGE_MS = 15_000;
const MAX_CONTEXTS = 32;

interface OpenContext<Context> {
  readonly openedAt: number;
  /** In which turn of what is requested for. */
  readonly tick: number;
  usedAt: number;
  readonly context: Promise<Context>;
}

/**
 * Jobs of one request share what was read for it: a key that two hundred targets hold is read once. A request may have
 * so many targets that it takes minutes; what was read ahead for the last of them is not lost in between.
 */
export function createSyncContexts<Context>(
  clock: Clock,
  open: (job: Pick<Job, 'requestId' | 'reason'>) => Promise<Context>,
  currentTick: () => number = () => 0,
): SyncContexts<Context> {
  const contexts = new Map<string, OpenContext<Context>>();
  const evict = (): void => {
    for (const [id, { usedAt }] of contexts)
      if (contexts.size > MAX_CONTEXTS || Math.abs(clock.now() - usedAt) > MAX_CONTEXT_AGE_MS)
        contexts.delete(id);
  };
  return {
    evict,
    clear: () => contexts.clear(),
    end: (job) => void contexts.delete(idOf(job)),
    get(job, notBefore, requested) {
      evict();
      const id = idOf(job);
      const existing = contexts.get(id);
      const now = clock.now();
      // Nothing in it is older than the one or the other.
      const readAt = Math.max(existing?.openedAt ?? 0, now - MAX_CONTEXT_AGE_MS);
      const isAfter = (request: RequestTime): boolean =>
        readAt > request.at || (existing?.tick ?? 0) >= request.tick;
      if (existing !== undefined && readAt > notBefore && (requested === undefined || isAfter(requested))) {
        existing.usedAt = now;
        // The one that was used last is let go of last.
        contexts.delete(id);
        contexts.set(id, existing);
        return existing.context;
      }
      const entry = { openedAt: now, tick: currentTick(), usedAt: now, context: open(job) };
      contexts.set(id, entry);
      // What could not begin is begun anew by the next one who asks.
      const removeFailed = (): void => void (contexts.get(id) === entry && contexts.delete(id));
      entry.context.then(undefined, removeFailed);
      return entry.context;
    },
  };
}

function idOf({ requestId, reason }: Pick<Job, 'requestId' | 'reason'>): string {
  return `${requestId} ${reason}`;
}
