import type { Config } from '../config/config.ts';
import { noTracer, noTracing, type Tracer, type Tracing } from '../core/tracer.ts';
import type { ReadCredential } from '../providers/credentials.ts';
import type { AppDeps } from './deps.ts';
import type { StoreObserver } from './stores.ts';

export interface TracingDeps extends Pick<AppDeps, 'clock' | 'logger' | 'replica' | 'version'> {
  readonly credential: ReadCredential;
}

/** Opens tracing. The OpenTelemetry packages are loaded only if the configuration contains `tracing`. */
export async function openTracing(
  { tracing, instance }: Pick<Config, 'tracing' | 'instance'>,
  { logger, credential, clock, replica, version }: TracingDeps,
): Promise<Tracing> {
  if (tracing === undefined) return noTracing;
  const { endpoint, headers } = tracing.otlp;
  const { openOtlp } = await import('../telemetry/otlp.ts');
  return openOtlp({
    endpoint,
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, reference]) => [name, () => credential(reference)]),
    ),
    service: { instance, replica, version },
    clock,
    onState(error) {
      if (error === undefined) logger.info('traces arrive again');
      else logger.warn('traces cannot be sent; all other work continues', { error });
    },
  });
}

/** Extends an observer of stores, so that each request to a store becomes a span. */
export function traced(
  observe: StoreObserver | undefined,
  tracer: Tracer,
): { readonly observe?: StoreObserver } {
  if (tracer === noTracer) return observe === undefined ? {} : { observe };
  return {
    observe: {
      onState: () => undefined,
      ...observe,
      onCall(call) {
        observe?.onCall(call);
        const { store, operation, outcome, ms } = call;
        const result = outcome === 'ok' ? { outcome } : { outcome: 'failed', code: outcome };
        tracer.recordSpan('store', { store, operation, ...result }, ms);
      },
    },
  };
}
