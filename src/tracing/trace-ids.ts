import { createHash } from 'node:crypto';
import { withoutMark } from '../core/request-id.ts';

export interface TraceIds {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits: the span of what began the request. */
  readonly spanId: string;
}

/**
 * The trace of a request, and the span that began it, from its id alone: a job carries nothing else, and each process
 * that works for it must come to the same. W3C Trace Context, https://www.w3.org/TR/trace-context/#trace-id: none of
 * them may be all zeros, which a hash is not in practice.
 */
export function traceIdsOf(requestId: string): TraceIds {
  const hash = createHash('sha256').update(withoutMark(requestId)).digest('hex');
  return { traceId: hash.slice(0, 32), spanId: hash.slice(32, 48) };
}
