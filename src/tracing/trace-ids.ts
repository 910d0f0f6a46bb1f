import { createHash } from 'node:crypto';
import { withoutSuffix } from '../core/request-id.ts';

export interface TraceIds {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. The id of the root span. */
  readonly spanId: string;
}

/**
 * Derives the trace and the root span of a request from its id alone: jobs carry nothing else, and every process must
 * get the same ids. W3C Trace Context (https://www.w3.org/TR/trace-context/#trace-id) forbids ids of all zeros, which a
 * hash never gives in practice.
 */
export function traceIdsOf(requestId: string): TraceIds {
  const hash = createHash('sha256').update(withoutSuffix(requestId)).digest('hex');
  return { traceId: hash.slice(0, 32), spanId: hash.slice(32, 48) };
}
