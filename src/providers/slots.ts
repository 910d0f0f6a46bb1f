export interface Slots {
  take(signal: AbortSignal | undefined): Promise<void>;
  give(): void;
  /** All who wait are turned away with this reason. */
  clear(reason: unknown): void;
}

/** A bulkhead with a queue: first come, first served. One who gives up waiting leaves the queue. */
export function createSlots(count: number): Slots {
  let free = count;
  const queue = new Set<PromiseWithResolvers<void>>();
  return {
    async take(signal) {
      signal?.throwIfAborted();
      if (free > 0) {
        free -= 1;
        return;
      }
      const waiting = Promise.withResolvers<void>();
      const leave = () => {
        queue.delete(waiting);
        waiting.reject(signal?.reason);
      };
      queue.add(waiting);
      signal?.addEventListener('abort', leave, { once: true });
      try {
        await waiting.promise;
      } finally {
        signal?.removeEventListener('abort', leave);
      }
    },
    give() {
      const [next] = queue;
      if (next === undefined) {
        free += 1;
        return;
      }
      queue.delete(next); // the slot goes to the next one without becoming free in between
      next.resolve();
    },
    clear(reason) {
      for (const waiting of queue) waiting.reject(reason);
      queue.clear();
    },
  };
}
