import type { Clock } from '../core/clock.ts';

/**
 * How changes in a store are detected: with a list · by describing each key · by reading all keys in batches · by
 * reading each key.
 */
export type ReadStrategy = 'list' | 'describe' | 'batch' | 'read';

/** The strategy chosen for a check of some keys. */
export interface ChosenStrategy {
  readonly way: ReadStrategy;
  readonly keys: number;
  /** The number of requests for such a check while nothing changes. */
  readonly calls: number;
}

/** What lists have cost so far, to choose the strategy of the next check. */
export interface ListCosts {
  /** Whether a list is expected to cover these keys with at most `most` requests. */
  isWorthListing(keys: string, most: number): boolean;
  /**
   * Records the cost of a check by list: requests made, or the minimum if it was stopped early. Includes reads of the
   * keys that the list did not cover.
   */
  record(keys: string, requests: number): void;
  /** Records that listing is not allowed. */
  recordDenied(): void;
}

/** The store may have become smaller since the list was too long. */
const EXPIRY_MS = 24 * 3_600_000;
/** Batches are tried again after this time, to notice a newly granted permission. */
const DENIED_EXPIRY_MS = 3_600_000;
/** Each refresh interval of a store has one group of keys, so there are few. */
const MAX_GROUPS = 64;

export function createListCosts(clock: Clock): ListCosts {
  const costs = new Map<string, { readonly requests: number; readonly at: number }>();
  let deniedAt = Number.NEGATIVE_INFINITY;
  // Compares the distance, so that a clock that was set back cannot extend it.
  const isPast = (at: number, ms: number): boolean => Math.abs(clock.now() - at) >= ms;
  return {
    isWorthListing(keys, most) {
      if (!isPast(deniedAt, DENIED_EXPIRY_MS)) return false;
      const { requests, at } = costs.get(keys) ?? { requests: 0, at: clock.now() };
      return requests <= most || isPast(at, EXPIRY_MS);
    },
    record(keys, requests) {
      costs.delete(keys);
      costs.set(keys, { requests, at: clock.now() });
      for (const oldest of costs.keys()) {
        if (costs.size <= MAX_GROUPS) break;
        costs.delete(oldest);
      }
    },
    recordDenied() {
      deniedAt = clock.now();
    },
  };
}

export interface ReadCapabilities {
  /** The number of values that one request returns. */
  readonly readsPerCall: number;
  /** The number of names on one page of a list. Undefined if lists contain no versions, or are not allowed. */
  readonly namesPerCall: number | undefined;
  /** Up to this many keys are described one by one, instead of being listed or read. */
  readonly describesUpTo: number;
}

/**
 * The cheapest strategy for this many keys in a store that holds no other keys. This is the lower bound before the
 * first check.
 */
export function cheapestStrategy(
  keys: number,
  { readsPerCall, namesPerCall, describesUpTo }: ReadCapabilities,
): ChosenStrategy {
  if (keys > 0 && keys <= describesUpTo) return { way: 'describe', keys, calls: keys };
  const reads = Math.ceil(keys / readsPerCall);
  const pages = namesPerCall === undefined ? Number.POSITIVE_INFINITY : Math.ceil(keys / namesPerCall);
  // A list exposes no values and needs no decryption, so it is preferred. A single key is never looked up in a list.
  if (keys > 1 && pages <= reads) return { way: 'list', keys, calls: pages };
  return { way: readsPerCall > 1 ? 'batch' : 'read', keys, calls: reads };
}
