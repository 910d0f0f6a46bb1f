import type { AppError } from '../../core/errors.ts';
import { fromNetwork as fromAnyNetwork } from '../network.ts';

/** What the connection did, as an error of ours. The names of hosts are made of the region. */
export function fromNetwork(thrown: unknown): AppError {
  return fromAnyNetwork(thrown, { unresolved: 'is the region right?', notTls: 'is its address `http`?' });
}
