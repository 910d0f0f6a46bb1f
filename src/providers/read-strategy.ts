import type { Clock } from '../core/clock.ts';

/**
 * The ways to find out which keys have changed:
 * - `list`: list the versions.
 * - `describe`: describe each key.
 * - `batch`: read all keys in batches.
 * - `read`: read each key.
 */
export type ReadStrategy = 'list' | 'describe' | 'batch' | 'read';

/** The strategy with which some keys are checked for changes. */
export interface ChosenStrategy {
  readonly way: ReadStrategy;
  readonly keys: number;
  /** The number of requests that the check needs if nothing has changed. */
  readonly calls: number;
}

/** Remembers the number of requests of each list. This number decides whether the next check uses a list. */
export interface ListCosts {
  /** Whether a list of these keys probably needs at most `most` requests. */
  isWorthListing(keys: string, most: number): boolean;
  /**
   * Records how many requests a check with a list needed. If the list was stopped early, this is the least number that
   * it would have needed. The number includes the reads of keys that are missing from the list.
   */
  record(keys: string, requests: number): void;
  /** Records that listing is not allowed. */
  recordDenied(): void;
}

/**
 * After a list needed too many requests, a list is tried again after this time, because the store may have become
 * smaller.
 */
const EXPIRY_MS = 24 * 3_600_000;
/** After a list was denied, a list is tried again after this time, because the permission may have been granted. */
const DENIED_EXPIRY_MS = 3_600_000;
/** The maximum number of groups of keys. A store has one group for each refresh interval, so it has few groups. */
const MAX_GROUPS = 64;

export function createListCosts(clock: Clock): ListCosts {
  const costs = new Map<string, { readonly requests: number; readonly at: number }>();
  let deniedAt = Number.NEGATIVE_INFINITY;
  // Compare the absolute difference. Otherwise a clock that was set back would delay the next list.
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
  /** For up to this many keys, each key is described instead of listed or read. */
  readonly describesUpTo: number;
}

/**
 * Returns the strategy that needs the fewest requests if the store contains only these keys. With more keys in the
 * store, the first check may need more requests.
 */
export function cheapestStrategy(
  keys: number,
  { readsPerCall, namesPerCall, describesUpTo }: ReadCapabilities,
): ChosenStrategy {
  if (keys > 0 && keys <= describesUpTo) return { way: 'describe', keys, calls: keys };
  const reads = Math.ceil(keys / readsPerCall);
  const pages = namesPerCall === undefined ? Number.POSITIVE_INFINITY : Math.ceil(keys / namesPerCall);
  // With an equal number of requests, prefer a list, because it exposes no values and needs no decryption. A single key
  // is never listed.
  if (keys > 1 && pages <= reads) return { way: 'list', keys, calls: pages };
  return { way: readsPerCall > 1 ? 'batch' : 'read', keys, calls: reads };
}
