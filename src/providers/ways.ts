import type { Clock } from '../core/clock.ts';

/**
 * How a store is looked at for changes: by its list · by the description of each key · by reading all, in batches ·
 * by reading each.
 */
export type Way = 'list' | 'describe' | 'batch' | 'read';

/** What one pass over some keys has chosen. */
export interface WayTaken {
  readonly way: Way;
  readonly keys: number;
  /** Requests that such a pass takes while nothing changes. */
  readonly calls: number;
}

/** What lists have cost so far, so that the next pass can choose. */
export interface Lists {
  /** Whether telling these keys by a list takes at most so many requests, as far as is known. */
  areWorth(keys: string, most: number): boolean;
  /** Telling them took so many, or would have taken at least so many; reads of what it left unknown included. */
  note(keys: string, requests: number): void;
  /** They are not allowed to us. */
  deny(): void;
}

/** A store may have become smaller since a list was found too long. */
const FORGET_MS = 24 * 3_600_000;
/** A permission that was given is noticed after this time. */
const DENIED_MS = 3_600_000;
/** Groups of keys, one for each interval of a store: few. */
const MOST = 64;

export function createLists(clock: Clock): Lists {
  const known = new Map<string, { readonly requests: number; readonly at: number }>();
  let deniedAt = Number.NEGATIVE_INFINITY;
  // By distance: a clock that was set back must not make it last.
  const isPast = (at: number, ms: number): boolean => Math.abs(clock.now() - at) >= ms;
  return {
    areWorth(keys, most) {
      if (!isPast(deniedAt, DENIED_MS)) return false;
      const { requests, at } = known.get(keys) ?? { requests: 0, at: clock.now() };
      return requests <= most || isPast(at, FORGET_MS);
    },
    note(keys, requests) {
      known.delete(keys);
      known.set(keys, { requests, at: clock.now() });
      for (const oldest of known.keys()) {
        if (known.size <= MOST) break;
        known.delete(oldest);
      }
    },
    deny() {
      deniedAt = clock.now();
    },
  };
}

export interface Abilities {
  /** Values that one request gives. */
  readonly readsPerCall: number;
  /** Names that one page of a list tells; undefined: lists tell nothing of versions, or are not allowed. */
  readonly namesPerCall: number | undefined;
  /** So many keys together are described one by one, rather than listed or read. */
  readonly describesUpTo: number;
}

/**
 * The cheapest pass over so many keys of a store that holds nothing else: what a pass costs at the least, before one
 * was made.
 */
export function cheapestWay(
  keys: number,
  { readsPerCall, namesPerCall, describesUpTo }: Abilities,
): WayTaken {
  if (keys > 0 && keys <= describesUpTo) return { way: 'describe', keys, calls: keys };
  const reads = Math.ceil(keys / readsPerCall);
  const pages = namesPerCall === undefined ? Number.POSITIVE_INFINITY : Math.ceil(keys / namesPerCall);
  // A page shows no value and needs no decryption. But one key is never looked for in a list.
  if (keys > 1 && pages <= reads) return { way: 'list', keys, calls: pages };
  return { way: readsPerCall > 1 ? 'batch' : 'read', keys, calls: reads };
}
