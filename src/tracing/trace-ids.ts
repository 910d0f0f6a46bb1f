import { createHash } from 'node:crypto';
import { withoutSuffix } from '../core/request-id.ts';

export interface TraceIds {
  /** The id of the trace: 32 hexadecimal digits. */
  readonly traceId: string;
  /** The id of the root span: 16 hexadecimal digits. */
  readonly spanId: string;
}

/**
 * Derives the ids of the trace and its root span from the request id alone. Jobs contain nothing else, and every
 * process must derive the same ids. W3C Trace Context (https://www.w3.org/TR/trace-context/#trace-id) forbids ids of
 * all zeros, which a hash practically never produces.
 */
export function traceIdsOf(requestId: string): TraceIds {
  const hash = createHash('sha256').update(withoutSuffix(requestId)).digest('hex');
  return { traceId: hash.slice(0, 32), spanId: hash.slice(32, 48) };
}
