import { resourceFromAttributes } from '@opentelemetry/resources';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { SpanAttributes } from '../../src/core/tracer.ts';
import { createSpans, traceIdsOf } from '../../src/telemetry/spans.ts';
import { createManualTime } from '../fakes/manual-time.ts';

const REQUEST = '6f1c8a52-2f3b-4c1e-9d10-1f6b1f0a7c11';

function open() {
  const exporter = new InMemorySpanExporter();
  const clock = createManualTime();
  const { tracer } = createSpans({
    resource: resourceFromAttributes({}),
    processor: new SimpleSpanProcessor({ exporter }),
    clock,
  });
  const all = () => exporter.getFinishedSpans();
  const named = (name: string) => all().find((span) => span.name === name);
  return { tracer, clock, all, named };
}

describe('a trace', () => {
  it('a trace gets the same ids in every process that computes the ids', () => {
    expect(traceIdsOf(REQUEST)).toEqual({
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    expect(traceIdsOf(`${REQUEST}~a1b2c3`)).toEqual(traceIdsOf(REQUEST));
    expect(traceIdsOf('another')).not.toEqual(traceIdsOf(REQUEST));
  });

  it('a trace has one root span, and another process can continue the trace', async () => {
    const [here, there] = [open(), open()];
    here.tracer.recordTrigger(REQUEST, { reason: 'event' });
    here.tracer.recordTrigger(REQUEST, { reason: 'event' });
    here.tracer.recordTrigger(`${REQUEST}~a1b2c3`, { reason: 'event' });
    await there.tracer.span('job', { mapping: 'db' }, async () => undefined, { requestId: REQUEST });
    const [trigger, ...others] = here.all();
    expect(others).toEqual([]);
    expect(trigger?.parentSpanContext).toBeUndefined();
    expect(trigger?.spanContext()).toMatchObject(traceIdsOf(REQUEST));
    expect(trigger?.attributes).toEqual({ 'secretbridge.reason': 'event' });
    const job = there.named('job');
    expect(job?.spanContext().traceId).toBe(trigger?.spanContext().traceId);
    expect(job?.parentSpanContext?.spanId).toBe(trigger?.spanContext().spanId);
    expect(job?.spanContext().spanId).not.toBe(trigger?.spanContext().spanId);
  });

  it('a trace contains a span for each trigger and each run of a sweep', async () => {
    const { tracer, all, named } = open();
    await tracer.span('sweep', { store: 'aws' }, async () => tracer.recordTrigger(REQUEST, {}), {
      requestId: REQUEST,
      isRoot: true,
    });
    await tracer.span('sweep', { store: 'aws' }, async () => undefined, { requestId: REQUEST, isRoot: true });
    expect(all().map(({ name }) => name)).toEqual(['sweep', 'sweep']);
    expect(named('sweep')?.spanContext()).toMatchObject(traceIdsOf(REQUEST));
    expect(all()[1]?.parentSpanContext?.spanId).toBe(traceIdsOf(REQUEST).spanId);
  });

  it('a trace nests spans, including spans of concurrent work', async () => {
    const { tracer, all } = open();
    const job = (requestId: string) =>
      tracer.span(
        'job',
        {},
        async () => {
          await new Promise((resolve) => setImmediate(resolve));
          await tracer.span('gather', {}, async () => tracer.recordSpan('store', { store: requestId }, 5));
        },
        { requestId },
      );
    await Promise.all([job('a'), job('b')]);
    for (const id of ['a', 'b']) {
      const spans = all().filter((span) => span.spanContext().traceId === traceIdsOf(id).traceId);
      const [store, gather, root] = spans;
      expect(spans.map(({ name }) => name)).toEqual(['store', 'gather', 'job']);
      expect(store?.attributes).toEqual({ 'secretbridge.store': id });
      expect(store?.parentSpanContext?.spanId).toBe(gather?.spanContext().spanId);
      expect(gather?.parentSpanContext?.spanId).toBe(root?.spanContext().spanId);
    }
  });

  it('a trace excludes work that belongs to no request', async () => {
    const { tracer, all } = open();
    tracer.recordSpan('store', { operation: 'login' }, 5);
    expect(await tracer.span('gather', {}, async () => 7)).toBe(7);
    expect(all()).toEqual([]);
  });

  it('a trace can record a step after the step has ended', async () => {
    const { tracer, clock, named } = open();
    tracer.recordSpan('restart', { outcome: 'written' }, 1_500, REQUEST);
    const span = named('restart');
    expect(span?.endTime).toEqual([clock.now() / 1_000, 0]);
    expect(span?.duration).toEqual([1, 500_000_000]);
  });
});

describe('a span', () => {
  it('a span records only the code of an error', async () => {
    const { tracer, named } = open();
    const error = new AppError('ACCESS_DENIED', { subject: 'store aws', cause: new Error('s3cr3t') });
    const failing = tracer.span('gather', {}, () => Promise.reject(error), { requestId: REQUEST });
    await expect(failing).rejects.toBe(error);
    expect(named('gather')).toMatchObject({
      attributes: { 'secretbridge.code': 'ACCESS_DENIED' },
      status: { code: 2 },
      events: [],
    });
    expect(named('gather')?.status.message).toBeUndefined();
  });

  it('a span has the code INTERNAL if the error is unknown', async () => {
    const { tracer, named } = open();
    const failing = tracer.span('plan', {}, () => Promise.reject(new Error('s3cr3t')), {
      requestId: REQUEST,
    });
    await expect(failing).rejects.toThrow('s3cr3t');
    expect(named('plan')?.attributes).toEqual({ 'secretbridge.code': 'INTERNAL' });
  });

  it('a span drops attributes outside the allow-list', async () => {
    const { tracer, named } = open();
    const attributes = { mapping: 'db', key: 'a/b', value: 's3cr3t' } as SpanAttributes;
    await tracer.span('job', attributes, async () => undefined, {
      requestId: REQUEST,
      resultAttributes: () => ({ outcome: 'ok', message: 's3cr3t' }) as SpanAttributes,
    });
    expect(named('job')?.attributes).toEqual({ 'secretbridge.mapping': 'db', 'secretbridge.outcome': 'ok' });
  });
});
