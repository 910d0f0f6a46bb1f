import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import {
  type IdGenerator,
  RandomIdGenerator,
  type SpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';
import { toAppError } from '../core/errors.ts';
import { type SpanAttributes, type SpanOptions, type Tracer, withoutSuffix } from '../core/tracer.ts';

interface TraceIds {
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

/** The span attributes that are allowed at run time. This check supplements the check by types. */
const ATTRIBUTES = [
  'mapping',
  'namespace',
  'secret',
  'store',
  'operation',
  'reason',
  'outcome',
  'code',
] as const satisfies readonly (keyof SpanAttributes)[];

/** The maximum length of an attribute. Names are always shorter than this. */
const MAX_LENGTH = 512;
/**
 * The maximum number of request ids in memory. The spans of older requests look as if they began in another process.
 */
const MAX_REQUESTS = 4_096;

interface SpansDeps {
  readonly resource: Resource;
  readonly processor: SpanProcessor;
  readonly clock: Clock;
}

interface Spans {
  readonly tracer: Tracer;
  readonly provider: TracerProvider;
}

/**
 * Creates a tracer with OpenTelemetry's SDK. It sets no global variables, so it does not affect other users of
 * OpenTelemetry in the process.
 */
export function createSpans({ resource, processor, clock }: SpansDeps): Spans {
  const ids = createIdGenerator();
  const provider = new TracerProvider({ resource, spanProcessors: [processor], idGenerator: ids.generator });
  const sdk = provider.getTracer('secretbridge');
  const current = new AsyncLocalStorage<Context>();
  const markStarted = createStartedRequests();
  const start = (name: string, attributes: SpanAttributes, parent: Context, startTime?: number): Span =>
    sdk.startSpan(
      name,
      { attributes: otelAttributes(attributes), ...(startTime === undefined ? {} : { startTime }) },
      parent,
    );
  const startRoot = (name: string, attributes: SpanAttributes, requestId: string): Span =>
    ids.use(traceIdsOf(requestId), () => start(name, attributes, ROOT_CONTEXT));

  return {
    provider,
    tracer: {
      async span<T>(
        name: string,
        attributes: SpanAttributes,
        work: () => Promise<T>,
        { requestId, isRoot = false, resultAttributes }: SpanOptions<T> = {},
      ): Promise<T> {
        const parent = requestId === undefined ? current.getStore() : parentOf(requestId);
        if (parent === undefined) return work();
        const span =
          requestId !== undefined && isRoot && markStarted(requestId)
            ? startRoot(name, attributes, requestId)
            : start(name, attributes, parent);
        try {
          const result = await current.run(trace.setSpan(parent, span), work);
          endSpan(span, resultAttributes?.(result) ?? {});
          return result;
        } catch (thrown) {
          // Never call `recordException`, because it would export the message and the stack.
          endSpan(span, { code: toAppError(thrown).code });
          throw thrown;
        }
      },
      recordSpan(name, attributes, ms, requestId) {
        const parent = requestId === undefined ? current.getStore() : parentOf(requestId);
        if (parent === undefined) return;
        const endedAt = clock.now();
        const span = start(name, attributes, parent, endedAt - ms);
        endSpan(span, attributes, endedAt);
      },
      recordTrigger(requestId, attributes) {
        if (markStarted(requestId)) startRoot('trigger', attributes, requestId).end();
      },
    },
  };
}

/** Returns a function that marks a request as started, and returns true for its first span in this process. */
function createStartedRequests(): (requestId: string) => boolean {
  const startedRequests = new LRUCache<string, true>({ max: MAX_REQUESTS });
  return (requestId) => {
    const id = withoutSuffix(requestId);
    if (startedRequests.has(id)) return false;
    startedRequests.set(id, true);
    return true;
  };
}

function parentOf(requestId: string): Context {
  const span = { ...traceIdsOf(requestId), traceFlags: TraceFlags.SAMPLED, isRemote: true };
  return trace.setSpanContext(ROOT_CONTEXT, span);
}

function endSpan(span: Span, attributes: SpanAttributes, at?: number): void {
  span.setAttributes(otelAttributes(attributes));
  if (attributes.code !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end(at);
}

function otelAttributes(attributes: SpanAttributes): Attributes {
  const allowed: Attributes = {};
  for (const name of ATTRIBUTES) {
    const value = attributes[name];
    if (typeof value === 'string')
      allowed[`secretbridge.${name}`] = value.slice(0, MAX_LENGTH).toWellFormed();
  }
  return allowed;
}

/**
 * Creates a generator of random ids. Only the ids of root spans are not random, because every process must derive the
 * same ids.
 */
function createIdGenerator() {
  const random = new RandomIdGenerator();
  let fixedIds: TraceIds | undefined;
  const generator: IdGenerator = {
    generateTraceId: () => fixedIds?.traceId ?? random.generateTraceId(),
    generateSpanId: () => fixedIds?.spanId ?? random.generateSpanId(),
  };
  return {
    generator,
    /**
     * Calls `work` with fixed ids. The SDK calls the generator synchronously while it starts a span, so only this span
     * gets the fixed ids.
     */
    use(ids: TraceIds, work: () => Span): Span {
      fixedIds = ids;
      try {
        return work();
      } finally {
        fixedIds = undefined;
      }
    },
  };
}
