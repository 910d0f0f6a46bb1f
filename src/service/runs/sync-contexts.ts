import type { Clock } from '../../core/clock.ts';
import type { Job } from '../../queue/queue.ts';

/**
 * When a target was requested. The requests of one batch, such as all targets of a key in a sweep, have the same tick.
 * The first target may start before the last is requested, but its reads are new enough for all of them.
 */
export interface RequestTime {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The number of the batch, because one millisecond may contain several. */
  readonly tick: number;
}

export interface SyncContexts<Context> {
  /**
   * Returns the shared context of a request. Opens a new one if the existing values may have been read before
   * `notBefore` or before the request.
   */
  get(job: Pick<Job, 'requestId' | 'reason'>, notBefore: number, requested?: RequestTime): Promise<Context>;
  /** Closes the context of a request that no further job will use, and releases its values. */
  end(job: Pick<Job, 'requestId' | 'reason'>): void;
  /** Closes contexts that have been idle too long, and releases their values. */
  evict(): void;
  /** Closes all contexts after a configuration change. */
  clear(): void;
}

/** Maximum age of a shared read, and the idle time after which a context is closed. */
export const MAX_CONTEXT_AGE_MS = 15_000;
const MAX_CONTEXTS = 32;

interface OpenContext<Context> {
  readonly openedAt: number;
  /** The number of the latest batch of requests when the context was opened. */
  readonly tick: number;
  usedAt: number;
  readonly context: Promise<Context>;
}

/**
 * Shares reads between the jobs of one request, so that a key with two hundred targets is read once. A request may take
 * minutes; values that were prefetched for its last targets are kept until then.
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
      // No value in the context was read before this time.
      const readAt = Math.max(existing?.openedAt ?? 0, now - MAX_CONTEXT_AGE_MS);
      const isAfter = (request: RequestTime): boolean =>
        readAt > request.at || (existing?.tick ?? 0) >= request.tick;
      if (existing !== undefined && readAt > notBefore && (requested === undefined || isAfter(requested))) {
        existing.usedAt = now;
        // Insert the context again, so that the map stays in order of last use.
        contexts.delete(id);
        contexts.set(id, existing);
        return existing.context;
      }
      const entry = { openedAt: now, tick: currentTick(), usedAt: now, context: open(job) };
      contexts.set(id, entry);
      // Remove a context that failed to open, so that the next caller retries.
      const removeFailed = (): void => void (contexts.get(id) === entry && contexts.delete(id));
      entry.context.then(undefined, removeFailed);
      return entry.context;
    },
  };
}

function idOf({ requestId, reason }: Pick<Job, 'requestId' | 'reason'>): string {
  return `${requestId} ${reason}`;
}
