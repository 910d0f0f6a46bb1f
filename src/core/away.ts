import type { AppError } from './errors.ts';
import { isObject } from './json.ts';

/**
 * Whether nothing of the cluster can be had just now. A 500 is none of that: it is its answer about one object, as of an
 * admission webhook that is broken, and comes at once.
 */
export function isAway({ code, cause }: AppError): boolean {
  return code === 'CLUSTER_UNAVAILABLE' && !(isObject(cause) && cause.status === 500);
}

/** After so many calls without an answer the next ones would wait for the same, and others for whoever makes them. */
export const MOST_UNANSWERED = 3;
