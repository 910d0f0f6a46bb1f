interface AcquireOptions {
  /** If aborted, the caller is removed from the queue. */
  readonly signal?: AbortSignal | undefined;
  /** The most urgent priority is 0, the default. */
  readonly priority?: number;
}

/** Limits how many pieces of work run at the same time. */
export interface Semaphore {
  acquire(options?: AcquireOptions): Promise<void>;
  release(): void;
  /** Runs the work while holding one permit. */
  run<T>(work: () => Promise<T>, options?: AcquireOptions): Promise<T>;
  /** Whether a new caller has to wait. */
  isFull(): boolean;
}

/**
 * Serves the most urgent waiter first, and waiters of the same priority in order of arrival. @param priorities The
 * number of priorities.
 */
export function createSemaphore(count: number, priorities = 1): Semaphore {
  const queues = Array.from({ length: priorities }, () => new Set<PromiseWithResolvers<void>>());
  let free = count;

  const acquire = async ({ signal, priority = 0 }: AcquireOptions = {}): Promise<void> => {
    signal?.throwIfAborted();
    if (free > 0) {
      free -= 1;
      return;
    }
    const queue = queues[Math.min(priority, priorities - 1)];
    const waiter = Promise.withResolvers<void>();
    const abandon = () => {
      queue?.delete(waiter);
      waiter.reject(signal?.reason);
    };
    queue?.add(waiter);
    signal?.addEventListener('abort', abandon, { once: true });
    try {
      await waiter.promise;
    } finally {
      signal?.removeEventListener('abort', abandon);
    }
  };
  const release = (): void => {
    const queue = queues.find(({ size }) => size > 0);
    const [next] = queue ?? [];
    if (next === undefined) {
      free += 1;
      return;
    }
    queue?.delete(next); // the permit passes directly to the next waiting caller
    next.resolve();
  };
  return {
    acquire,
    release,
    async run(work, options) {
      await acquire(options);
      try {
        return await work();
      } finally {
        release();
      }
    },
    isFull: () => free === 0,
  };
}

/** Like `Promise.all` over `map`, with at most `limit` calls at a time. */
export async function mapConcurrently<In, Out>(
  items: readonly In[],
  limit: number,
  work: (item: In) => Promise<Out>,
): Promise<readonly Out[]> {
  const results: Out[] = [];
  const entries = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of entries) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}
