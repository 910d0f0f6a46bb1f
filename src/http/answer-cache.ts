import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';

/**
 * Caches positive and negative answers for a limited time. Failures are not cached. Concurrent callers with the same
 * key share one call of `load`.
 */
interface AnswerCache<T> {
  get(key: string, load: () => Promise<T>): Promise<T>;
}

interface AnswerCacheOptions<T> {
  readonly clock: Clock;
  /** The maximum number of cached positive answers. The same maximum applies to cached negative answers. */
  readonly max: number;
  readonly positiveTtlMs: number;
  readonly negativeTtlMs: number;
  isPositive(answer: T): boolean;
}

interface CacheEntry<T> {
  readonly answer: T;
  readonly at: number;
  readonly ttlMs: number;
}

export function createAnswerCache<T>({
  clock,
  max,
  positiveTtlMs,
  negativeTtlMs,
  isPositive,
}: AnswerCacheOptions<T>): AnswerCache<T> {
  // Use separate maps, so that a flood of invented tokens does not evict the answers for valid tokens.
  const positive = new LRUCache<string, CacheEntry<T>>({ max });
  const negative = new LRUCache<string, CacheEntry<T>>({ max });
  const loading = new Map<string, Promise<T>>();

  function store(key: string, answer: T): void {
    const [entries, ms] = isPositive(answer) ? [positive, positiveTtlMs] : [negative, negativeTtlMs];
    entries.set(key, { answer, at: clock.now(), ttlMs: ms });
  }

  async function loadAndStore(key: string, load: () => Promise<T>): Promise<T> {
    try {
      const answer = await load();
      store(key, answer);
      return answer;
    } finally {
      loading.delete(key);
    }
  }

  return {
    async get(key, load) {
      for (const entries of [positive, negative]) {
        const entry = entries.get(key);
        // Compare the absolute difference. Otherwise, after the clock is set back, an entry could stay valid for hours.
        if (entry !== undefined && Math.abs(clock.now() - entry.at) < entry.ttlMs) return entry.answer;
        entries.delete(key);
      }
      const inFlight = loading.get(key);
      if (inFlight !== undefined) return inFlight;
      const started = loadAndStore(key, load);
      loading.set(key, started);
      return started;
    },
  };
}
