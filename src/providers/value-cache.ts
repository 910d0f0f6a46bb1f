import { LRUCache } from 'lru-cache';
import { toAppError } from '../core/errors.ts';

/** The answers of stores, by id. One process has one cache, and makes at most one request for an id at a time. */
export interface ValueCache {
  /**
   * Returns an answer to a request that started at this time or later, in milliseconds since 1970. The answer may be
   * cached or pending. Waits while an older request is pending, and makes a request if there is none.
   */
  get<T>(id: string, notBefore: number, source: CachedSource<T>): Promise<T>;
  /** Whether `get` would make no request now. */
  has(id: string, notBefore: number): boolean;
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
  readonly startedAt: number;
  readonly answer: Promise<unknown>;
}

/** The memory of an entry in addition to its value: the id, promises and map entries. */
const ENTRY_OVERHEAD_BYTES = 256;
const MAX_BYTES = 8 * 2 ** 20;

export interface ValueCacheOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Answers leave the memory this long after their request. Default: they stay while there is room. */
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

  const usable = (id: string, notBefore: number): Entry | undefined => {
    const entry = pending.get(id) ?? settled.get(id);
    // After the clock was set back, no request would be new enough for a time that is still to come.
    return entry !== undefined && entry.startedAt >= Math.min(notBefore, now()) ? entry : undefined;
  };
  const begin = <T>(id: string, { request, sizeOf }: CachedSource<T>): Promise<T> => {
    const start = performance.now();
    const entry: Entry = { startedAt: now(), answer: request() };
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
    async get<T>(id: string, notBefore: number, source: CachedSource<T>): Promise<T> {
      for (;;) {
        const entry = usable(id, notBefore);
        if (entry !== undefined) return entry.answer as Promise<T>;
        const running = pending.get(id);
        if (running === undefined) return begin(id, source);
        const refusal = source.whileBusy?.();
        if (refusal !== undefined) return refusal;
        await Promise.allSettled([running.answer]);
      }
    },
    has: (id, notBefore) => pending.has(id) || usable(id, notBefore) !== undefined,
    clear() {
      settled.clear();
      pending.clear();
    },
  };
}
