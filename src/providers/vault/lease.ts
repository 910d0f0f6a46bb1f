import type { Grant } from './grant.ts';

/** A grant in use. */
export interface Lease extends Grant {
  /** Milliseconds since 1970; undefined for a token that does not end. */
  readonly expiresAt: number | undefined;
  /** Undefined: not limited. At 0 the server ends the token with the last of what is under way. */
  usesLeft: number | undefined;
  /** Requests that have taken a use and were not answered yet. */
  underWay: number;
  verdict: { readonly accepted: boolean; readonly at: number; readonly ms: number } | undefined;
}

/**
 * Whether the token is good for one more request, whose use is taken at once: of many requests at a time each is sure
 * of its own.
 */
export function takeUse(lease: Lease): boolean {
  if (lease.usesLeft === 0) return false;
  if (lease.usesLeft !== undefined) lease.usesLeft -= 1;
  lease.underWay += 1;
  return true;
}

/**
 * The request has been answered, or will not be made.
 * @param isCounted Not where the server lets anybody ask, or nothing was sent, as while the store is away: it took a use
 * so that the token does not end meanwhile.
 */
export function endUse(lease: Lease, isCounted: boolean): void {
  lease.underWay -= 1;
  if (!isCounted && lease.usesLeft !== undefined) lease.usesLeft += 1;
}

/** Whether there are uses that the server waits for. */
export function isLeftOver({ usesLeft = 0, underWay }: Lease): boolean {
  return usesLeft > 0 && underWay === 0;
}
