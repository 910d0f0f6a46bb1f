import type { AppError } from './errors.ts';
import { isObject } from './json.ts';

/**
 * Whether the cluster as a whole is unavailable. A status 500 does not count: it comes at once and concerns one object,
 * for example when an admission webhook is broken.
 */
export function isClusterOutage({ code, cause }: AppError): boolean {
  return code === 'CLUSTER_UNAVAILABLE' && !(isObject(cause) && cause.status === 500);
}

/**
 * After this many unanswered calls in a row, the remaining calls are skipped, because each of them would wait just as
 * long.
 */
export const MAX_UNANSWERED_CALLS = 3;
