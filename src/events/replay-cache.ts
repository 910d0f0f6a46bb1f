import type { Clock } from '../core/clock.ts';

/** More than one address can send within ten minutes under the server's rate limit. */
const MAX_ENTRIES = 20_000;

/** Remembers accepted signed contents until they would be too old to be accepted again. */
export interface ReplayCache {
  has(digest: string): boolean;
  /** @param until Milliseconds since 1970. */
  add(digest: string, until: number): void;
}

/** Bounded: the oldest entry is evicted first. A replay of it would only be one needless hint. */
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
