import { LRUCache } from 'lru-cache';
import type { Clock } from '../../core/clock.ts';
import { withoutSuffix } from '../../core/tracer.ts';
import type { Job } from '../../queue/queue.ts';
import type { SyncContext } from '../../reconcile/context.ts';

export interface SyncContexts<Context> {
  /**
   * Returns the shared context of a request, for one run. The run uses only values whose read started after `after` and
   * after `requestedAt`.
   */
  get(job: Pick<Job, 'requestId' | 'reason'>, after: number, requestedAt?: number): Promise<Context>;
  /** Returns the context of a request, if it is open. */
  opened(job: Pick<Job, 'requestId' | 'reason'>): Promise<Context> | undefined;
  /** Closes the context of a request that no further job will use. */
  end(job: Pick<Job, 'requestId' | 'reason'>): void;
  /** Closes contexts that have been idle too long. */
  evict(): void;
  /** Closes all contexts after a configuration change. */
  clear(): void;
}

/** Maximum age of a shared read, and the idle time after which a context is closed. */
export const MAX_CONTEXT_AGE_MS = 15_000;
const MAX_CONTEXTS = 32;
/** A repetition that is forgotten begins again, so it only reads more. Anybody with access to Redis can invent others. */
const MAX_REPETITIONS = 32;

interface OpenContext<Context> {
  usedAt: number;
  readonly context: Promise<Context>;
  /** When each repetition of the request began, by request id, and 0 for the request itself. */
  readonly begunAt: LRUCache<string, number>;
}

/**
 * Shares the actor and the reads between the jobs of one request and its repetitions. A repetition may have a newer cause
 * than the request, so it uses no value that was read before the repetition began. Later reads serve both: otherwise each
 * repetition would repeat all reads of the request.
 */
export function createSyncContexts<Context extends Pick<SyncContext, 'forRun'>>(
  clock: Clock,
  open: (job: Pick<Job, 'requestId' | 'reason'>) => Promise<Context>,
): SyncContexts<Context> {
  const contexts = new LRUCache<string, OpenContext<Context>>({ max: MAX_CONTEXTS });
  const isOld = ({ usedAt }: OpenContext<Context>): boolean =>
    Math.abs(clock.now() - usedAt) > MAX_CONTEXT_AGE_MS;
  const evict = (): void => {
    for (const [id, context] of contexts.entries()) if (isOld(context)) contexts.delete(id);
  };
  const openShared = (id: string, job: Pick<Job, 'requestId' | 'reason'>): OpenContext<Context> => {
    const requestId = withoutSuffix(job.requestId);
    const begunAt = new LRUCache<string, number>({ max: MAX_REPETITIONS });
    begunAt.set(requestId, 0);
    const entry = { usedAt: clock.now(), context: open({ ...job, requestId }), begunAt };
    contexts.set(id, entry);
    // Remove a context that failed to open, so that the next caller retries.
    const removeFailed = (): void => void (contexts.get(id) === entry && contexts.delete(id));
    entry.context.then(undefined, removeFailed);
    return entry;
  };
  return {
    evict,
    clear: () => contexts.clear(),
    opened: (job) => contexts.get(idOf(job))?.context,
    end: (job) => void contexts.delete(idOf(job)),
    async get(job, after, requestedAt = 0) {
      const id = idOf(job);
      const known = contexts.get(id);
      const entry = known === undefined || isOld(known) ? openShared(id, job) : known;
      entry.usedAt = clock.now();
      const { requestId } = job;
      const begunAt = entry.begunAt.get(requestId) ?? entry.usedAt;
      entry.begunAt.set(requestId, begunAt);
      const context = await entry.context;
      const readAfter = Math.max(after, requestedAt, begunAt);
      return { ...context, ...context.forRun({ requestId, readAfter }) };
    },
  };
}

function idOf({ requestId, reason }: Pick<Job, 'requestId' | 'reason'>): string {
  return `${withoutSuffix(requestId)} ${reason}`;
}
