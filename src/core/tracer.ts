/** The steps that a trace shows. */
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

/** All attributes that a span may carry: names and our own words. Never a value, a key or the text of an error. */
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
   * The request that the span belongs to, even if another process received the request. By default, the request of the
   * enclosing span.
   */
  readonly requestId?: string;
  /** With `requestId`: marks the first span of the request in this process. */
  readonly isRoot?: boolean;
  /** Attributes that are known only when the span ends. */
  readonly resultAttributes?: (result: T) => SpanAttributes;
}

/** Records the steps of a request as a trace. Its methods never fail. */
export interface Tracer {
  /** Runs the work as one span, inside the current span. */
  span<T>(
    name: SpanName,
    attributes: SpanAttributes,
    work: () => Promise<T>,
    options?: SpanOptions<T>,
  ): Promise<T>;
  /** Records a span that has just ended and took `ms`. Without a current span it does not belong to a trace. */
  recordSpan(name: SpanName, attributes: SpanAttributes, ms: number, requestId?: string): void;
  /** Records what triggered the work: the root span of its request, once. */
  recordTrigger(requestId: string, attributes: SpanAttributes): void;
}

/** A tracer with its exporter. Disposing it drops spans that cannot be sent at once. */
export interface Tracing extends AsyncDisposable {
  readonly tracer: Tracer;
  /** Sends pending spans, for at most `ms` milliseconds. Never throws. */
  flush(ms: number): Promise<void>;
}

/** The default: records nothing. */
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
