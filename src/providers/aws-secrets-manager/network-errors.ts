import type { AppError } from '../../core/errors.ts';
import { fromNetwork as fromAnyNetwork } from '../network-errors.ts';

/** Converts a connection error to an AppError. Host names contain the region, so a wrong region cannot be resolved. */
export function fromNetwork(thrown: unknown): AppError {
  return fromAnyNetwork(thrown, { unresolved: 'is the region right?', notTls: 'is its address `http`?' });
}
