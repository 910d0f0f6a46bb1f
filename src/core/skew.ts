import { AppError } from './errors.ts';

/** Tokens, signatures and certificates carry times, so clocks that differ by more make for riddles. */
const MAX_SKEW_S = 60;

/**
 * CLOCK_SKEWED, if two clocks differ by too much.
 * @param aheadMs How far the clock here is ahead of the other one. Servers tell their time in whole seconds.
 * @param whose The other clock: `the store's`.
 */
export function clockSkewed(aheadMs: number, whose: string): AppError | undefined {
  if (Math.abs(Math.round(aheadMs / 1000)) <= MAX_SKEW_S) return undefined;
  return new AppError('CLOCK_SKEWED', { detail: describeSkew(aheadMs, whose) });
}

export function describeSkew(aheadMs: number, whose: string): string {
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  return `the clock here is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} ${whose}`;
}
