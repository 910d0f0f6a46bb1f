import { randomUUID } from 'node:crypto';

/** The steps that appear in a trace. */
export type SpanName =
  | 'trigger'
  | 'sweep'
  | 'job'
  | 'gather'
  | 'store'
  | 'plan'
  | 'intent'
  | 'write'
  | 'outcome'
  | 'restart';

/**
 * All attributes that a span may have. They contain only names and our own words: never a value, a key or an error
 * text.
 */
export interface SpanAttributes {
  readonly mapping?: string;
  readonly namespace?: string;
  /** The name of a Kubernetes Secret. */
  readonly secret?: string;
  readonly store?: string;
  readonly operation?: string;
  readonly reason?: string;
  readonly outcome?: string;
  readonly code?: string;
}

export interface SpanOptions<T> {
  /**
   * The request that the span belongs to. Another process may have received this request. Default: the request of the
   * enclosing span.
   */
  readonly requestId?: string;
  /** Used with `requestId`: marks the first span of the request in this process. */
  readonly isRoot?: boolean;
  /** Attributes that are known only when the span ends. */
  readonly resultAttributes?: (result: T) => SpanAttributes;
}

/** Records the steps of a request as a trace. Its methods never fail. */
export interface Tracer {
  /** Records the work as one span within the current span. */
  span<T>(
    name: SpanName,
    attributes: SpanAttributes,
    work: () => Promise<T>,
    options?: SpanOptions<T>,
  ): Promise<T>;
  /**
   * Records a span that has just ended and took `ms`. If there is no current span, the recorded span belongs to no
   * trace.
   */
  recordSpan(name: SpanName, attributes: SpanAttributes, ms: number, requestId?: string): void;
  /** Records what triggered the work, as the root span of its request. Call it once per request. */
  recordTrigger(requestId: string, attributes: SpanAttributes): void;
}

/** A tracer with its exporter. Disposing of it drops the spans that cannot be sent immediately. */
export interface Tracing extends AsyncDisposable {
  readonly tracer: Tracer;
  /** Sends pending spans, for at most `ms` milliseconds. Never throws. */
  flush(ms: number): Promise<void>;
}

/** The default tracer, which records nothing. */
export const noTracer: Tracer = {
  span: (_name, _attributes, work) => work(),
  recordSpan: () => undefined,
  recordTrigger: () => undefined,
};

export const noTracing: Tracing = {
  tracer: noTracer,
  flush: async () => undefined,
  async [Symbol.asyncDispose]() {},
};

/**
 * Returns the request id for a repetition of a lost or interrupted run. The suffix separates the records of the two
 * runs. Without it, the outcome of the second run could complete an intent of the first run.
 */
export function withSuffix(requestId: string, mark: string): string {
  return `${requestId.slice(0, MAX_REQUEST_ID_LENGTH - mark.length - 1)}~${mark}`;
}

/** Returns the original request id, which identifies the command in the audit log and the trace. */
export function withoutSuffix(requestId: string): string {
  return requestId.replace(/~.*/, '');
}

/** The longest request id. */
const MAX_REQUEST_ID_LENGTH = 80;

const REQUEST_ID = /^[A-Za-z0-9._~-]{1,80}$/;

/**
 * Returns a request id from outside if it has the right form, or else a new one. Anybody with access to Redis can send a
 * request id of any size, and it would become a part of each record.
 */
export function requestIdFrom(text: unknown): string {
  return typeof text === 'string' && REQUEST_ID.test(text) ? text : randomUUID();
}
