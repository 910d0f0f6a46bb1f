import type { Clock } from '../core/clock.ts';

/**
 * How changes in a store are detected:
 * - `list`: list the versions.
 * - `describe`: describe each key.
 * - `batch`: read all keys in batches.
 * - `read`: read each key.
 */
export type ReadStrategy = 'list' | 'describe' | 'batch' | 'read';

/** The strategy for a check of some keys. */
export interface ChosenStrategy {
  readonly way: ReadStrategy;
  readonly keys: number;
  /** The number of requests for such a check if nothing has changed. */
  readonly calls: number;
}

/** Remembers the cost of lists, to choose the strategy of the next check. */
export interface ListCosts {
  /** Whether a list is expected to cover these keys with at most `most` requests. */
  isWorthListing(keys: string, most: number): boolean;
  /**
   * Records the cost of a check by list. This is the number of requests, or a lower bound if the list was stopped
   * early. Reads of keys that the list did not cover are included.
   */
  record(keys: string, requests: number): void;
  /** Records that listing is not allowed. */
  recordDenied(): void;
}

/** A list that was too long is tried again after this time, because the store may have become smaller. */
const EXPIRY_MS = 24 * 3_600_000;
/** Lists are tried again after this time, to notice a newly granted permission. */
const DENIED_EXPIRY_MS = 3_600_000;
/** There is one group of keys for each refresh interval of a store, so there are few groups. */
const MAX_GROUPS = 64;

export function createListCosts(clock: Clock): ListCosts {
  const costs = new Map<string, { readonly requests: number; readonly at: number }>();
  let deniedAt = Number.NEGATIVE_INFINITY;
  // Compare the absolute difference, so that a clock that was set back does not extend the time.
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
  /** The number of values that one request can return. */
  readonly readsPerCall: number;
  /** The number of names on one page of a list. Undefined if lists contain no versions or are not allowed. */
  readonly namesPerCall: number | undefined;
  /** Up to this many keys are described one by one, instead of listed or read. */
  readonly describesUpTo: number;
}

/**
 * Returns the cheapest strategy, assuming that the store contains only these keys. It is a lower bound of the cost
 * before the first check.
 */
export function cheapestStrategy(
  keys: number,
  { readsPerCall, namesPerCall, describesUpTo }: ReadCapabilities,
): ChosenStrategy {
  if (keys > 0 && keys <= describesUpTo) return { way: 'describe', keys, calls: keys };
  const reads = Math.ceil(keys / readsPerCall);
  const pages = namesPerCall === undefined ? Number.POSITIVE_INFINITY : Math.ceil(keys / namesPerCall);
  // A list is preferred, because it exposes no values and needs no decryption. It is never used for a single key.
  if (keys > 1 && pages <= reads) return { way: 'list', keys, calls: pages };
  return { way: readsPerCall > 1 ? 'batch' : 'read', keys, calls: reads };
}
