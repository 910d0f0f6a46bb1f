import { AsyncLocalStorage } from 'node:async_hooks';
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
import type { Clock } from '../core/clock.ts';
import { toAppError } from '../core/errors.ts';
import { withoutMark } from '../core/request-id.ts';
import type { SpanAttributes, SpanOptions, Tracer } from '../core/tracer.ts';
import { type TraceIds, traceIdsOf } from './trace-ids.ts';

/** The run-time list beside the type's: what is not in it goes nowhere. */
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

/** Names are shorter than this. */
const MAX_LENGTH = 512;
/** Requests that began here, by their id; an older one that goes on is told as one that began elsewhere. */
const MOST_REQUESTS = 4_096;

export interface SpansDeps {
  readonly resource: Resource;
  readonly processor: SpanProcessor;
  readonly clock: Clock;
}

export interface Spans {
  readonly tracer: Tracer;
  readonly provider: TracerProvider;
}

/** The tracer over OpenTelemetry's SDK. Nothing global is set: other users of its API in the process see none of it. */
export function createSpans({ resource, processor, clock }: SpansDeps): Spans {
  const ids = createIds();
  const provider = new TracerProvider({ resource, spanProcessors: [processor], idGenerator: ids.generator });
  const sdk = provider.getTracer('secretbridge');
  const current = new AsyncLocalStorage<Context>();
  const begun = new Set<string>();

  /** Whether it is the first that begins this request here. */
  const isFirst = (requestId: string): boolean => {
    const id = withoutMark(requestId);
    if (begun.has(id)) return false;
    begun.add(id);
    for (const oldest of begun) {
      if (begun.size <= MOST_REQUESTS) break;
      begun.delete(oldest);
    }
    return true;
  };
  const start = (name: string, attributes: SpanAttributes, parent: Context, startTime?: number): Span =>
    sdk.startSpan(
      name,
      { attributes: plain(attributes), ...(startTime === undefined ? {} : { startTime }) },
      parent,
    );
  const startFirst = (name: string, attributes: SpanAttributes, requestId: string): Span =>
    ids.use(traceIdsOf(requestId), () => start(name, attributes, ROOT_CONTEXT));

  return {
    provider,
    tracer: {
      async span<T>(
        name: string,
        attributes: SpanAttributes,
        work: () => Promise<T>,
        { requestId, first = false, ends }: SpanOptions<T> = {},
      ): Promise<T> {
        const parent = requestId === undefined ? current.getStore() : parentOf(requestId);
        if (parent === undefined) return work();
        const span =
          requestId !== undefined && first && isFirst(requestId)
            ? startFirst(name, attributes, requestId)
            : start(name, attributes, parent);
        try {
          const result = await current.run(trace.setSpan(parent, span), work);
          end(span, ends?.(result) ?? {});
          return result;
        } catch (thrown) {
          // Never `recordException`: it would take the text of the error and its places.
          end(span, { code: toAppError(thrown).code });
          throw thrown;
        }
      },
      ended(name, attributes, ms, requestId) {
        const parent = requestId === undefined ? current.getStore() : parentOf(requestId);
        if (parent === undefined) return;
        const endedAt = clock.now();
        const span = start(name, attributes, parent, endedAt - ms);
        end(span, attributes, endedAt);
      },
      trigger(requestId, attributes) {
        if (isFirst(requestId)) startFirst('trigger', attributes, requestId).end();
      },
    },
  };
}

function parentOf(requestId: string): Context {
  const span = { ...traceIdsOf(requestId), traceFlags: TraceFlags.SAMPLED, isRemote: true };
  return trace.setSpanContext(ROOT_CONTEXT, span);
}

function end(span: Span, attributes: SpanAttributes, at?: number): void {
  span.setAttributes(plain(attributes));
  if (attributes.code !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end(at);
}

function plain(attributes: SpanAttributes): Attributes {
  const found: Attributes = {};
  for (const name of ATTRIBUTES) {
    const value = attributes[name];
    if (typeof value === 'string') found[`secretbridge.${name}`] = value.slice(0, MAX_LENGTH).toWellFormed();
  }
  return found;
}

/** Random ids, but for the spans whose ids every process must be able to name. */
function createIds() {
  const random = new RandomIdGenerator();
  let given: TraceIds | undefined;
  const generator: IdGenerator = {
    generateTraceId: () => given?.traceId ?? random.generateTraceId(),
    generateSpanId: () => given?.spanId ?? random.generateSpanId(),
  };
  return {
    generator,
    /** The SDK asks for ids while a span is started, and not later. */
    use(ids: TraceIds, work: () => Span): Span {
      given = ids;
      try {
        return work();
      } finally {
        given = undefined;
      }
    },
  };
}
