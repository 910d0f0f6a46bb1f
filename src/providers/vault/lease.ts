import type { Grant } from './grant.ts';

/** A grant in use. */
export interface Lease extends Grant {
  /** Milliseconds since 1970. Undefined for a token that does not expire. */
  readonly expiresAt: number | undefined;
  /** Undefined if unlimited. At 0, the token ends with its last running request. */
  usesLeft: number | undefined;
  /** Requests that have taken a use and are still running. */
  underWay: number;
  verdict: { readonly accepted: boolean; readonly at: number; readonly ms: number } | undefined;
}

/**
 * Takes one use of the token if it has any left. The use is taken at once, so that concurrent requests do not share it.
 */
export function takeUse(lease: Lease): boolean {
  if (lease.usesLeft === 0) return false;
  if (lease.usesLeft !== undefined) lease.usesLeft -= 1;
  lease.underWay += 1;
  return true;
}

/**
 * Ends a request.
 * @param isCounted False if the server does not count the request, or if nothing was sent. The use is then returned.
 */
export function endUse(lease: Lease, isCounted: boolean): void {
  lease.underWay -= 1;
  if (!isCounted && lease.usesLeft !== undefined) lease.usesLeft += 1;
}

/** Whether the token has uses left that no request will take. */
export function hasUnusedUses({ usesLeft = 0, underWay }: Lease): boolean {
  return usesLeft > 0 && underWay === 0;
}
