import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';

/** The server's rate limit allows fewer requests than this from one address in ten minutes. */
const MAX_ENTRIES = 20_000;

/** Remembers the signed contents that were accepted, until they are too old to be accepted again. */
export interface ReplayCache {
  has(digest: string): boolean;
  /** @param until Milliseconds since 1970. */
  add(digest: string, until: number): void;
}

/** Evicts the oldest entry when the cache is full. A replay of its content would only be one unnecessary hint. */
export function createReplayCache(clock: Clock, maxEntries = MAX_ENTRIES): ReplayCache {
  const digests = new LRUCache<string, true>({ max: maxEntries, ttl: 1, ttlResolution: 0, perf: clock });
  return {
    has: (digest) => digests.has(digest),
    add: (digest, until) => void digests.set(digest, true, { ttl: Math.max(1, until - clock.now()) }),
  };
}
