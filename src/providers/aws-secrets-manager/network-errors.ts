import type { AppError } from '../../core/errors.ts';
import { fromNetwork as fromAnyNetwork } from '../network-errors.ts';

/**
 * Converts a connection error to an AppError. Host names contain the region, so a failed DNS lookup may mean a wrong
 * region.
 */
export function fromNetwork(thrown: unknown): AppError {
  return fromAnyNetwork(thrown, { unresolved: 'is the region right?', notTls: 'is its address `http`?' });
}
