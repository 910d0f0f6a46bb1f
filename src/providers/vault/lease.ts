import type { Grant } from './grant.ts';

/** A login that is in use, with its token. */
export interface Lease extends Grant {
  /** In milliseconds since 1970. Undefined if the token does not expire. */
  readonly expiresAt: number | undefined;
  /**
   * The number of uses that are left. Undefined if the uses are unlimited. At 0, the token becomes invalid when its
   * running requests have ended.
   */
  usesLeft: number | undefined;
  /** The number of running requests. Each of them has taken a use. */
  underWay: number;
  verdict: { readonly accepted: boolean; readonly at: number; readonly ms: number } | undefined;
}

/**
 * Takes one use of the token. Returns false if none are left. The count is reduced before the request is sent, because
 * concurrent requests must not take the same use.
 */
export function takeUse(lease: Lease): boolean {
  if (lease.usesLeft === 0) return false;
  if (lease.usesLeft !== undefined) lease.usesLeft -= 1;
  lease.underWay += 1;
  return true;
}

/**
 * Ends a request.
 * @param isCounted False if the request was not sent or the server does not count it. Then the use is given back.
 */
export function endUse(lease: Lease, isCounted: boolean): void {
  lease.underWay -= 1;
  if (!isCounted && lease.usesLeft !== undefined) lease.usesLeft += 1;
}

/** Whether the token has uses left and no request is running. */
export function hasUnusedUses({ usesLeft = 0, underWay }: Lease): boolean {
  return usesLeft > 0 && underWay === 0;
}
