import type { AppError } from '../../src/core/errors.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { Tracing } from '../../src/core/tracer.ts';
import { openOtlp } from '../../src/telemetry/otlp.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import type { Receiver } from './receiver.ts';

export const TOKEN = 'Bearer t0p-s3cr3t';

export async function openTracing({ endpoint }: Pick<Receiver, 'endpoint'>, header = async () => TOKEN) {
  const states: string[] = [];
  const errors: AppError[] = [];
  const tracing: Tracing = openOtlp({
    endpoint,
    headers: { authorization: async () => SecretValue.fromText(await header()) },
    service: { version: '1.2.3', instance: 'prod', replica: 'pod-1' },
    clock: createManualTime(),
    shutdownTimeoutMs: 200,
    onState(error) {
      states.push(error?.code ?? 'well');
      if (error !== undefined) errors.push(error);
    },
  });
  return { ...tracing, states, errors, [Symbol.asyncDispose]: () => tracing[Symbol.asyncDispose]() };
}

export const recordOne = ({ tracer }: Tracing, requestId = 'r') =>
  tracer.recordTrigger(requestId, { reason: 'event' });
