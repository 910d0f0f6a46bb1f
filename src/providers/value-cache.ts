import { LRUCache } from 'lru-cache';
import { toAppError } from '../core/errors.ts';

/**
 * Defines the answers that are new enough for a run. A mark is a number in the order of requests. It is exact, because
 * one millisecond may contain several requests.
 */
export interface Freshness {
  /** Requests after this mark are new enough. */
  readonly mark: number;
  /** Requests after this older mark are also new enough if they started after this time, in milliseconds since 1970. */
  readonly shared?: { readonly mark: number; readonly after: number } | undefined;
}

/** The answers of stores, by id. One process has one cache, and makes at most one request for an id at a time. */
export interface ValueCache {
  /**
   * Returns a cached or pending answer that is new enough. Otherwise makes a request, and first waits while an older one
   * is pending.
   */
  get<T>(id: string, freshness: Freshness, source: CachedSource<T>): Promise<T>;
  /** Whether `get` would make no request now. */
  has(id: string, freshness: Freshness): boolean;
  /** Returns a mark between the requests before and after this call. */
  mark(): number;
  /** Drops all answers. Pending answers still reach their callers. */
  clear(): void;
}

export interface CachedSource<T> {
  request(): Promise<T>;
  /** The size of an answer in bytes. */
  sizeOf(answer: T): number;
  /** Returns an answer for callers that must not wait for an older request. */
  whileBusy?(): T | undefined;
}

interface Entry {
  readonly mark: number;
  readonly startedAt: number;
  readonly answer: Promise<unknown>;
}

/** The memory of an entry in addition to its value: the id, promises and map entries. */
const ENTRY_OVERHEAD_BYTES = 256;
const MAX_BYTES = 8 * 2 ** 20;

export interface ValueCacheOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Answers leave the memory this long after their request. Default: they stay until newer answers need the memory. */
  readonly maxAgeMs?: number | undefined;
  readonly maxBytes?: number | undefined;
}

export function createValueCache({ now, maxAgeMs = 0, maxBytes = MAX_BYTES }: ValueCacheOptions): ValueCache {
  // A lifetime of 0 is unlimited.
  const settled = new LRUCache<string, Entry>({
    maxSize: maxBytes,
    ttl: maxAgeMs,
    ttlAutopurge: maxAgeMs > 0,
    perf: { now: () => performance.now() },
  });
  const pending = new Map<string, Entry>();
  let requests = 0;

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
      // After `clear`, the answer is no longer valid for others.
      if (pending.get(id) !== entry) return;
      pending.delete(id);
      const size = (bytes ?? 0) + id.length + ENTRY_OVERHEAD_BYTES;
      if (bytes !== undefined) settled.set(id, entry, { size, start });
    };
    const answer = entry.answer as Promise<T>;
    answer.then(
      (value) => settle(sizeOf(value)),
      // Other callers share a failure, but not the interruption of one caller.
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
