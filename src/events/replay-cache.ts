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
  const expiryByDigest = new Map<string, number>();
  return {
    has: (digest) => expiryByDigest.has(digest),
    add(digest, until) {
      const now = clock.now();
      for (const [oldest, expiry] of expiryByDigest) {
        if (expiry >= now && expiryByDigest.size < maxEntries) break;
        expiryByDigest.delete(oldest);
      }
      expiryByDigest.set(digest, until);
    },
  };
}
