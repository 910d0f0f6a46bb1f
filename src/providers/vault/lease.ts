import type { Grant } from './grant.ts';

/** A login that is in use. */
export interface Lease extends Grant {
  /** Milliseconds since 1970. Undefined for a token that does not expire. */
  readonly expiresAt: number | undefined;
  /** Undefined if unlimited. At 0, the token becomes invalid when its running requests have ended. */
  usesLeft: number | undefined;
  /** The number of running requests that have taken a use. */
  underWay: number;
  verdict: { readonly accepted: boolean; readonly at: number; readonly ms: number } | undefined;
}

/**
 * Takes one use of the token, if any are left. The count is reduced before the request is sent, so that concurrent
 * requests do not take the same use.
 */
export function takeUse(lease: Lease): boolean {
  if (lease.usesLeft === 0) return false;
  if (lease.usesLeft !== undefined) lease.usesLeft -= 1;
  lease.underWay += 1;
  return true;
}

/**
 * Ends a request.
 * @param isCounted False if the server does not count the request or it was not sent. Its use is then returned.
 */
export function endUse(lease: Lease, isCounted: boolean): void {
  lease.underWay -= 1;
  if (!isCounted && lease.usesLeft !== undefined) lease.usesLeft += 1;
}

/** Whether the token has uses left, and no running request. */
export function hasUnusedUses({ usesLeft = 0, underWay }: Lease): boolean {
  return usesLeft > 0 && underWay === 0;
}
