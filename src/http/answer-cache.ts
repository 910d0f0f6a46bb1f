import type { Clock } from '../core/clock.ts';

/**
 * Caches answers to yes-or-no questions for a limited time. Failures are not cached. Concurrent callers for one key
 * share one load.
 */
export interface AnswerCache<T> {
  get(key: string, load: () => Promise<T>): Promise<T>;
}

export interface AnswerCacheOptions<T> {
  readonly clock: Clock;
  /** The limit for positive answers, and separately for negative ones. */
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
  // Two maps, so that a flood of made-up tokens does not evict valid ones.
  const positive = new Map<string, CacheEntry<T>>();
  const negative = new Map<string, CacheEntry<T>>();
  const loading = new Map<string, Promise<T>>();

  function store(key: string, answer: T): void {
    const [entries, ms] = isPositive(answer) ? [positive, positiveTtlMs] : [negative, negativeTtlMs];
    entries.set(key, { answer, at: clock.now(), ttlMs: ms });
    const [oldest] = entries.keys();
    if (entries.size > max && oldest !== undefined) entries.delete(oldest);
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
        // Compare the absolute distance: after the clock is set back, an entry must not live for hours.
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
