import type { Clock } from '../core/clock.ts';

export interface Slots {
  take(signal: AbortSignal | undefined): Promise<void>;
  give(): void;
}

/** A bulkhead with a queue: first come, first served. One who gives up waiting leaves the queue. */
export function createSlots(count: number): Slots {
  let free = count;
  const queue = new Set<() => void>();
  return {
    async take(signal) {
      signal?.throwIfAborted();
      if (free > 0) {
        free -= 1;
        return;
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const leave = () => {
        queue.delete(resolve);
        reject(signal?.reason);
      };
      queue.add(resolve);
      signal?.addEventListener('abort', leave, { once: true });
      await promise;
      signal?.removeEventListener('abort', leave);
    },
    give() {
      const [next] = queue;
      if (next === undefined) {
        free += 1;
        return;
      }
      queue.delete(next); // the slot goes to the next one without becoming free in between
      next();
    },
  };
}

/**
 * A token bucket, kept as the time at which it would be full. It holds a tenth of a second's requests, so that a
 * start does not double the first second.
 */
export function createRate(perSecond: number, clock: Clock): () => number {
  const interval = 1000 / perSecond;
  const burst = Math.max(1, perSecond / 10) * interval;
  let fullAt = Number.NEGATIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    const now = clock.now();
    // A clock set back by an hour must not stop all calls for an hour.
    if (now < last) fullAt -= last - now;
    last = now;
    fullAt = Math.max(fullAt, now) + interval;
    return Math.max(0, Math.ceil(fullAt - burst - now));
  };
}
