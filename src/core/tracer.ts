/** The steps of our work that a trace shows. */
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

/** All that a span may say: names, and words of ours. Never a value, a key or the text of an error. */
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
  /** The request that it belongs to, whichever process took that in. Left out: that of the span around it. */
  readonly requestId?: string;
  /** With a request: this is what began it, as far as this process knows. */
  readonly first?: boolean;
  /** What is known only at its end. */
  readonly ends?: (result: T) => SpanAttributes;
}

/** Where the steps of a request are told, so that somebody may look at them together. It never fails. */
export interface Tracer {
  /** Runs the work as one step, within the one that it is called in. */
  span<T>(
    name: SpanName,
    attributes: SpanAttributes,
    work: () => Promise<T>,
    options?: SpanOptions<T>,
  ): Promise<T>;
  /** A step that has just ended and took so long; left out of any trace where no step is under way. */
  ended(name: SpanName, attributes: SpanAttributes, ms: number, requestId?: string): void;
  /** What asked for work: the first step of its request, told once. */
  trigger(requestId: string, attributes: SpanAttributes): void;
}

/** A tracer, and the way to where its steps are told. Closing gives up what cannot be sent at once. */
export interface Tracing extends AsyncDisposable {
  readonly tracer: Tracer;
  /** Sends what is waiting, for so many milliseconds at most. Never throws. */
  flush(ms: number): Promise<void>;
}

/** The default: nothing is told to anybody. */
export const noTracer: Tracer = {
  span: (_name, _attributes, work) => work(),
  ended: () => undefined,
  trigger: () => undefined,
};

export const noTracing: Tracing = {
  tracer: noTracer,
  flush: async () => undefined,
  async [Symbol.asyncDispose]() {},
};
