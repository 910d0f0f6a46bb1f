import type { AppError } from './errors.ts';
import { isObject } from './json.ts';

/**
 * Whether the error means that the whole cluster is unavailable. A status 500 does not: it is returned immediately and
 * concerns one object, for example because of a broken admission webhook.
 */
export function isClusterOutage({ code, cause }: AppError): boolean {
  return code === 'CLUSTER_UNAVAILABLE' && !(isObject(cause) && cause.status === 500);
}

/**
 * After this many unanswered calls in a row, the remaining calls are skipped. Each of them would wait for its timeout
 * too.
 */
export const MAX_UNANSWERED_CALLS = 3;
