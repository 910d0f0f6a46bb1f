import { AppError } from './errors.ts';

/** Tokens, signatures and certificates contain times, so a larger clock difference would cause confusing failures. */
const MAX_SKEW_S = 60;

/**
 * Returns CLOCK_SKEWED if two clocks differ too much.
 * @param aheadMs How far our clock is ahead of the other one. Servers report whole seconds.
 * @param whose The other clock, as in `the store's`.
 */
export function clockSkewError(aheadMs: number, whose: string): AppError | undefined {
  if (Math.abs(Math.round(aheadMs / 1000)) <= MAX_SKEW_S) return undefined;
  return new AppError('CLOCK_SKEWED', { detail: describeSkew(aheadMs, whose) });
}

export function describeSkew(aheadMs: number, whose: string): string {
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  return `the clock here is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} ${whose}`;
}
