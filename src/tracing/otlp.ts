import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Tracing } from '../core/tracer.ts';
import { createSpans } from './spans.ts';

export interface OtlpDeps {
  /** The base address of a collector, without the path of the signal. */
  readonly endpoint: string;
  /** Header to where its value is; read afresh for each request, so a new one needs no restart. */
  readonly headers: Readonly<Record<string, () => Promise<SecretValue>>>;
  readonly service: { readonly version?: string; readonly instance: string; readonly replica: string };
  readonly clock: Clock;
  /** Told when spans begin to be lost, and when they arrive again; not of each request. */
  readonly onState: (error: AppError | undefined) => void;
  /** How long closing waits for what is left. */
  readonly lastMs?: number;
}

/** All attempts for one request. Also how long a process may stay for one that nobody answers. */
const TIMEOUT_MS = 5_000;
/** What is made while the collector is away and does not fit is lost: about 10 MB. */
const QUEUE = 8_192;
const LAST_MS = 2_000;

/**
 * Traces by OTLP over HTTP, as JSON: https://opentelemetry.io/docs/specs/otlp/#otlphttp. Every request is traced;
 * a collector may choose among them, since it sees them whole.
 */
export function openOtlp(deps: OtlpDeps): Tracing {
  const { endpoint, headers, service, clock, onState, lastMs = LAST_MS } = deps;
  let closed = false;
  let failing = false;
  const exporter = watched(
    new OTLPTraceExporter({
      url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
      timeoutMillis: TIMEOUT_MS,
      async headers() {
        // Asked for before each attempt: the only place where those that are still to come can be called off.
        if (closed) throw new AppError('INTERRUPTED');
        const named = Object.entries(headers).map(async ([name, value]) => {
          const text = (await value()).revealText();
          return [name, text] as const;
        });
        return Object.fromEntries(await Promise.all(named));
      },
    }),
    (error) => {
      if (closed) return;
      failing = error !== undefined;
      onState(error);
    },
  );
  const processor = new BatchSpanProcessor({
    exporter,
    maxQueueSize: QUEUE,
    exportTimeoutMillis: 2 * TIMEOUT_MS,
  });
  const { tracer, provider } = createSpans({
    clock,
    processor,
    resource: resourceFromAttributes({
      'service.name': 'secretbridge',
      'service.namespace': service.instance,
      ...(service.version === undefined ? {} : { 'service.version': service.version }),
      'service.instance.id': service.replica,
    }),
  });
  return {
    tracer,
    // The provider's own would leave a timer of half a minute behind.
    async flush(ms) {
      await within(ms, processor.forceFlush());
    },
    async [Symbol.asyncDispose]() {
      const ending = provider.shutdown();
      const isSent = await within(lastMs, ending);
      closed = true;
      // A short run ends before the first request has failed.
      if (!isSent && !failing) onState(new AppError('TRACES_NOT_SENT'));
    },
  };
}

/** Waits for it for so long, and gives whether it ended; that it failed has been told by then. */
async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), ms);
  const isDone = await Promise.race([Promise.allSettled([work]).then(() => true), promise]);
  clearTimeout(timer);
  return isDone;
}

/** The same exporter; each change between well and failing is told, with nothing of what the collector said. */
function watched(exporter: SpanExporter, onState: OtlpDeps['onState']): SpanExporter {
  let failing = false;
  return {
    export(spans: ReadableSpan[], done) {
      exporter.export(spans, (result) => {
        const failed = result.code !== 0;
        if (failed !== failing) {
          failing = failed;
          onState(failed ? errorOf(result.error) : undefined);
        }
        done(result);
      });
    },
    ...(exporter.forceFlush === undefined
      ? {}
      : { forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve() }),
    shutdown: () => exporter.shutdown(),
  };
}

function errorOf(cause: unknown): AppError {
  return cause instanceof AppError ? cause : new AppError('TRACES_NOT_SENT', { cause });
}
