import { LRUCache } from 'lru-cache';
import { toAppError } from '../core/errors.ts';

/**
 * Says which answers are new enough for a run. A mark is a number in the order of the requests. A time alone would not
 * do, because several requests may start in one millisecond.
 */
export interface Freshness {
  /** An answer is new enough if its request started after this mark. */
  readonly mark: number;
  /**
   * An answer is also new enough if its request started after this older mark and after this time, in milliseconds
   * since 1970.
   */
  readonly shared?: { readonly mark: number; readonly after: number } | undefined;
}

/**
 * The answers of stores, by id. A process has one cache. For each id, the cache makes at most one request at a time.
 */
export interface ValueCache {
  /**
   * Returns an answer that is new enough, or waits for it if its request is running. If there is none, makes a request.
   * If a request with a too old answer is running, it must end first.
   */
  get<T>(id: string, freshness: Freshness, source: CachedSource<T>): Promise<T>;
  /** Whether `get` would return an answer without a new request. */
  has(id: string, freshness: Freshness): boolean;
  /** Returns a mark. Earlier requests are before it, and later requests are after it. */
  mark(): number;
  /** Drops all answers. Running requests continue, and their callers still get the answers. */
  clear(): void;
}

export interface CachedSource<T> {
  request(): Promise<T>;
  /** The size of an answer in bytes. */
  sizeOf(answer: T): number;
  /**
   * Returns an answer for a caller that must not wait for the running request. If it returns undefined, the caller
   * waits.
   */
  whileBusy?(): T | undefined;
}

interface Entry {
  readonly mark: number;
  readonly startedAt: number;
  readonly answer: Promise<unknown>;
}

/**
 * The resident memory that an entry needs besides its value: for the id, promises, map entries and the buffer of the
 * value. Most values are much smaller.
 */
const ENTRY_OVERHEAD_BYTES = 1024;
const MAX_BYTES = 8 * 2 ** 20;
/** An answer stays in memory for at most a fifth longer than its maximum age. */
const PURGES_PER_AGE = 5;

export interface ValueCacheOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /**
   * An answer stays in memory for this long after its request. By default, it stays until newer answers need the
   * memory.
   */
  readonly maxAgeMs?: number | undefined;
  readonly maxBytes?: number | undefined;
}

export function createValueCache({ now, maxAgeMs = 0, maxBytes = MAX_BYTES }: ValueCacheOptions): ValueCache {
  // For LRUCache, a lifetime of 0 means no limit.
  const settled = new LRUCache<string, Entry>({
    maxSize: maxBytes,
    ttl: maxAgeMs,
    perf: { now: () => performance.now() },
  });
  const pending = new Map<string, Entry>();
  let requests = 0;
  const purgeLater = createPurger(settled, maxAgeMs);

  const usable = (id: string, { mark, shared }: Freshness): Entry | undefined => {
    const entry = pending.get(id) ?? settled.get(id);
    if (entry === undefined || entry.mark > mark) return entry;
    return shared !== undefined && entry.mark > shared.mark && entry.startedAt > shared.after
      ? entry
      : undefined;
  };
  const begin = <T>(id: string, { request, sizeOf }: CachedSource<T>): Promise<T> => {
    const start = performance.now();
    requests += 1;
    const entry: Entry = { mark: requests, startedAt: now(), answer: request() };
    pending.set(id, entry);
    const settle = (bytes: number | undefined): void => {
      // If `clear` was called during the request, do not keep the answer for other callers.
      if (pending.get(id) !== entry) return;
      pending.delete(id);
      const size = (bytes ?? 0) + id.length + ENTRY_OVERHEAD_BYTES;
      if (bytes !== undefined) settled.set(id, entry, { size, start });
      purgeLater();
    };
    const answer = entry.answer as Promise<T>;
    answer.then(
      (value) => settle(sizeOf(value)),
      // Keep a failure for other callers, but not the interruption of one caller.
      (error) => settle(toAppError(error).code === 'INTERRUPTED' ? undefined : 0),
    );
    return answer;
  };
  return {
    async get<T>(id: string, freshness: Freshness, source: CachedSource<T>): Promise<T> {
      for (;;) {
        const entry = usable(id, freshness);
        if (entry !== undefined) return entry.answer as Promise<T>;
        const running = pending.get(id);
        if (running === undefined) return begin(id, source);
        const refusal = source.whileBusy?.();
        if (refusal !== undefined) return refusal;
        await Promise.allSettled([running.answer]);
      }
    },
    has: (id, freshness) => pending.has(id) || usable(id, freshness) !== undefined,
    mark: () => requests,
    clear() {
      settled.clear();
      pending.clear();
    },
  };
}

/**
 * Returns a function to call after an answer was added. It removes old answers later. One timer serves all of them,
 * because a sweep reads thousands of values.
 */
function createPurger(answers: LRUCache<string, Entry>, maxAgeMs: number): () => void {
  let timer: NodeJS.Timeout | undefined;
  const purgeLater = (): void => {
    if (maxAgeMs === 0 || timer !== undefined || answers.size === 0) return;
    timer = setTimeout(purge, maxAgeMs / PURGES_PER_AGE).unref();
  };
  const purge = (): void => {
    timer = undefined;
    answers.purgeStale();
    purgeLater();
  };
  return purgeLater;
}
