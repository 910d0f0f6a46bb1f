import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { within } from '../core/timer.ts';
import type { Tracing } from '../core/tracer.ts';
import { createSpans } from './spans.ts';

export interface OtlpDeps {
  /** The base URL of a collector. The path for traces is added to it. */
  readonly endpoint: string;
  /**
   * Functions that read header values, by header name. The functions are called for each request, so a rotated value
   * takes effect without a restart.
   */
  readonly headers: Readonly<Record<string, () => Promise<SecretValue>>>;
  readonly service: { readonly version?: string; readonly instance: string; readonly replica: string };
  readonly clock: Clock;
  /** Called with an error when spans can no longer be sent, and without an error when sending works again. */
  readonly onState: (error: AppError | undefined) => void;
  /** How long disposing waits for the last spans to be sent. */
  readonly shutdownTimeoutMs?: number;
}

/**
 * The timeout of one request including its retries. It also limits how long an unresponsive collector can keep the
 * process alive.
 */
const REQUEST_TIMEOUT_MS = 5_000;
/** The maximum number of spans in memory: about 10 MB. While the collector is down, further spans are lost. */
const MAX_QUEUED_SPANS = 8_192;
const SHUTDOWN_TIMEOUT_MS = 2_000;

/**
 * Sends traces with OTLP over HTTP, as JSON: https://opentelemetry.io/docs/specs/otlp/#otlphttp. Every request is
 * traced. The collector does the sampling, because it receives complete traces.
 */
export function openOtlp(deps: OtlpDeps): Tracing {
  const { endpoint, headers, service, clock, onState, shutdownTimeoutMs = SHUTDOWN_TIMEOUT_MS } = deps;
  let isClosed = false;
  let isFailing = false;
  const exporter = reportStateChanges(
    new OTLPTraceExporter({
      url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
      timeoutMillis: REQUEST_TIMEOUT_MS,
      async headers() {
        // The exporter calls this function before each attempt. No other hook can stop pending retries.
        if (isClosed) throw new AppError('INTERRUPTED');
        const entries = Object.entries(headers).map(async ([name, value]) => {
          const text = (await value()).revealText();
          return [name, text] as const;
        });
        return Object.fromEntries(await Promise.all(entries));
      },
    }),
    (error) => {
      if (isClosed) return;
      isFailing = error !== undefined;
      onState(error);
    },
  );
  const processor = new BatchSpanProcessor({
    exporter,
    maxQueueSize: MAX_QUEUED_SPANS,
    exportTimeoutMillis: 2 * REQUEST_TIMEOUT_MS,
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
    // Flush the processor and not the provider, because a flush of the provider would leave a 30 s timer running.
    async flush(ms) {
      await endsWithin(ms, processor.forceFlush());
    },
    async [Symbol.asyncDispose]() {
      const shutdown = provider.shutdown();
      const isSent = await endsWithin(shutdownTimeoutMs, shutdown);
      isClosed = true;
      // Report unsent spans, because a short run can end before its first request has failed.
      if (!isSent && !isFailing) onState(new AppError('TRACES_NOT_SENT'));
    },
  };
}

/** Waits up to `ms` and returns whether the work has ended. Failures of the work are reported elsewhere. */
async function endsWithin(ms: number, work: Promise<unknown>): Promise<boolean> {
  return (await within(Promise.allSettled([work]), ms)) !== undefined;
}

/**
 * Wraps an exporter to report each change between success and failure. The response text of the collector is discarded.
 */
function reportStateChanges(exporter: SpanExporter, onState: OtlpDeps['onState']): SpanExporter {
  let isFailing = false;
  return {
    export(spans: ReadableSpan[], done) {
      exporter.export(spans, (result) => {
        const hasFailed = result.code !== 0;
        if (hasFailed !== isFailing) {
          isFailing = hasFailed;
          onState(hasFailed ? errorOf(result.error) : undefined);
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
