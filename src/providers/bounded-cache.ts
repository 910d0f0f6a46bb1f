/** A cache of answers by id. Pending answers are shared too. */
export interface BoundedCache<T> {
  get(id: string): Promise<T> | undefined;
  /** Stores a pending answer. After it settles, it is kept while the budget allows. */
  put(id: string, answer: Promise<T>, sizeOf: (value: T) => number): Promise<T>;
}

/** A size limit in bytes that several caches share, such as the caches of one reader or of all readers in a process. */
export interface CacheBudget {
  /**
   * Registers a cache without keeping it alive. `evict` receives the cache as a parameter, because a callback that
   * captured the cache would keep it alive.
   */
  register<Cache extends object>(
    cache: Cache,
    evict: (cache: Cache, entry: CacheEntry) => void,
  ): CacheAccount;
}

export interface CacheAccount {
  /** Adds an entry, and evicts the oldest entries if the budget is exceeded. */
  charge(entry: CacheEntry): void;
}

export interface CacheEntry {
  readonly id: string;
  readonly bytes: number;
}

/** The memory of an entry in addition to its value: the id, promises and map entries. */
const ENTRY_OVERHEAD_BYTES = 256;
/** The default limit. A service has as many readers as concurrent requests, and each reader may cache this much. */
const MAX_BYTES = 8 * 2 ** 20;

/** Evicts entries in the order in which they settled. */
export function createCacheBudget(maxBytes = MAX_BYTES): CacheBudget {
  const evictors = new Map<CacheEntry, (entry: CacheEntry) => void>();
  let total = 0;
  const free = (entry: CacheEntry): void => {
    if (evictors.delete(entry)) total -= entry.bytes;
  };
  // Caches are not disposed of explicitly. When one is garbage collected, its bytes are released.
  const registry = new FinalizationRegistry<Set<CacheEntry>>((entries) => {
    for (const entry of entries) free(entry);
  });
  return {
    register(cache, evict) {
      const entries = new Set<CacheEntry>();
      const cacheRef = new WeakRef(cache);
      registry.register(cache, entries);
      const evictEntry = (entry: CacheEntry): void => {
        free(entry);
        entries.delete(entry);
        const liveCache = cacheRef.deref();
        if (liveCache !== undefined) evict(liveCache, entry);
      };
      return {
        charge(entry) {
          entries.add(entry);
          evictors.set(entry, evictEntry);
          total += entry.bytes;
          for (const [oldest, evict] of evictors) {
            if (total <= maxBytes) return;
            evict(oldest);
          }
        },
      };
    },
  };
}

/** The maximum age of answers, measured from the time of the request. */
export interface MaxAge {
  readonly now: () => number;
  readonly maxMs: number;
}

interface StoredAnswer<T> {
  readonly answer: Promise<T>;
  readonly askedAt: number;
  /** Set when the answer has settled. */
  entry?: CacheEntry;
}

function evict<T>(answers: Map<string, StoredAnswer<T>>, entry: CacheEntry): void {
  if (answers.get(entry.id)?.entry === entry) answers.delete(entry.id);
}

/** @param maxAge The maximum age of answers. Pending answers never expire. */
export function createBoundedCache<T>(
  budget: CacheBudget,
  maxAge: MaxAge = { now: () => 0, maxMs: 0 },
): BoundedCache<T> {
  const answers = new Map<string, StoredAnswer<T>>();
  const account = budget.register(answers, evict);
  return {
    get(id) {
      const stored = answers.get(id);
      // Compare the absolute difference, so that entries also expire after the clock was set back.
      const isExpired = stored !== undefined && Math.abs(maxAge.now() - stored.askedAt) > maxAge.maxMs;
      return isExpired && stored.entry !== undefined ? undefined : stored?.answer;
    },
    put(id, answer, sizeOf) {
      const stored: StoredAnswer<T> = { answer, askedAt: maxAge.now() };
      answers.set(id, stored);
      // A failed answer needs little space. The caller handles its error.
      const settled = (bytes: number) => {
        stored.entry = { id, bytes: bytes + id.length + ENTRY_OVERHEAD_BYTES };
        account.charge(stored.entry);
      };
      answer.then(
        (value) => settled(sizeOf(value)),
        () => settled(0),
      );
      return answer;
    },
  };
}
