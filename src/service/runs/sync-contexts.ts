import type { Clock } from '../../core/clock.ts';
import type { Job } from '../../queue/queue.ts';

/**
 * When a target was requested. A sweep requests all targets of a key in one tick. The first one may start before the
 * last is requested, and its reads are fresh enough for all.
 */
export interface RequestTime {
  /** In milliseconds since 1970. */
  readonly at: number;
  /** A counter, since one millisecond may contain several ticks. */
  readonly tick: number;
}

export interface SyncContexts<Context> {
  /**
   * Returns the context of a request. Opens a new one if the existing reads are not newer than `notBefore` and the
   * request.
   */
  get(job: Pick<Job, 'requestId' | 'reason'>, notBefore: number, requested?: RequestTime): Promise<Context>;
  /** Closes the context of a request that no other job will use, and releases its values. */
  end(job: Pick<Job, 'requestId' | 'reason'>): void;
  /** Closes expired contexts and releases their values. */
  evict(): void;
  /** Closes all contexts after a configuration change. */
  clear(): void;
}

/** Maximum age of a shared read, and the idle time after which a context is closed. */
export const MAX_CONTEXT_AGE_MS = 15_000;
const MAX_CONTEXTS = 32;

interface OpenContext<Context> {
  readonly openedAt: number;
  /** The request tick at which it was opened. */
  readonly tick: number;
  usedAt: number;
  readonly context: Promise<Context>;
}

/**
 * Shares reads between the jobs of one request, so that a key of two hundred targets is read once. A request may take
 * minutes; prefetched values of its last targets are kept meanwhile.
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
      // Lower bound of the age of all values in the context.
      const readAt = Math.max(existing?.openedAt ?? 0, now - MAX_CONTEXT_AGE_MS);
      const isAfter = (request: RequestTime): boolean =>
        readAt > request.at || (existing?.tick ?? 0) >= request.tick;
      if (existing !== undefined && readAt > notBefore && (requested === undefined || isAfter(requested))) {
        existing.usedAt = now;
        // Keep the map in order of last use.
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
