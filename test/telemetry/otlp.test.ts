import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { waitUntil } from '../wait-until.ts';
import { openTracing, recordOne, TOKEN } from './otlp-harness.ts';
import { acceptSpans, openReceiver } from './receiver.ts';

describe('the OTLP exporter', () => {
  it('the OTLP exporter posts JSON with headers and resource attributes to the path for traces', async () => {
    await using receiver = await openReceiver();
    await using tracing = await openTracing({ endpoint: `${receiver.endpoint}/` });
    recordOne(tracing);
    await tracing.flush(5_000);
    const [request] = receiver.requests;
    expect(request?.path).toBe('/v1/traces');
    expect(request?.headers).toMatchObject({ authorization: TOKEN, 'content-type': 'application/json' });
    expect(receiver.spans).toMatchObject([
      {
        name: 'trigger',
        attributes: { reason: 'event' },
        resource: {
          'service.name': 'secretbridge',
          'service.namespace': 'prod',
          'service.version': '1.2.3',
          'service.instance.id': 'pod-1',
        },
      },
    ]);
    expect(receiver.bodies.join()).not.toContain('t0p-s3cr3t');
    expect(tracing.states).toEqual([]);
  });

  it('the OTLP exporter uses rotated headers without a restart', async () => {
    await using receiver = await openReceiver();
    let header = 'old';
    await using tracing = await openTracing(receiver, async () => header);
    recordOne(tracing, 'a');
    await tracing.flush(5_000);
    header = 'new';
    recordOne(tracing, 'b');
    await tracing.flush(5_000);
    expect(receiver.requests.map(({ headers }) => headers.authorization)).toEqual(['old', 'new']);
  });

  it.each([
    ['rejects spans', 401, 'a s3cr3t answer'],
    ['sends a long Retry-After', 429, ''],
  ])(
    'the OTLP exporter reports once that the collector %s, and once that the collector recovers',
    async (_, status, body) => {
      await using receiver = await openReceiver();
      await using tracing = await openTracing(receiver);
      receiver.answer((response) => void response.writeHead(status, { 'retry-after': '60' }).end(body));
      for (const id of ['a', 'b', 'c']) {
        recordOne(tracing, id);
        await tracing.flush(5_000);
      }
      expect(tracing.states).toEqual(['TRACES_NOT_SENT']);
      expect(JSON.stringify(tracing.errors)).not.toContain('s3cr3t');
      receiver.answer(acceptSpans);
      recordOne(tracing, 'd');
      await tracing.flush(5_000);
      expect(tracing.states).toEqual(['TRACES_NOT_SENT', 'well']);
      expect(receiver.spans).toHaveLength(1);
    },
  );

  it('the OTLP exporter reports a missing credential', async () => {
    await using receiver = await openReceiver();
    await using tracing = await openTracing(receiver, () =>
      Promise.reject(new AppError('CREDENTIAL_MISSING')),
    );
    recordOne(tracing);
    await tracing.flush(5_000);
    expect(tracing.states).toEqual(['CREDENTIAL_MISSING']);
    expect(receiver.requests).toEqual([]);
  });

  it('the OTLP exporter does not block flush or shutdown while the collector hangs, and reports the hang', async () => {
    await using receiver = await openReceiver();
    receiver.answer(() => undefined);
    const began = performance.now();
    const states: (readonly string[])[] = [];
    {
      await using tracing = await openTracing(receiver);
      states.push(tracing.states);
      recordOne(tracing);
      await tracing.flush(50);
      expect(performance.now() - began).toBeLessThan(1_000);
      expect(tracing.states).toEqual([]);
    }
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(states).toEqual([['TRACES_NOT_SENT']]);
  });

  it('the OTLP exporter sends the remaining spans on shutdown', async () => {
    await using receiver = await openReceiver();
    {
      await using tracing = await openTracing(receiver);
      recordOne(tracing);
    }
    expect(receiver.spans).toHaveLength(1);
  });

  it('the OTLP exporter drops spans beyond the queue limit while the collector is down', async () => {
    await using receiver = await openReceiver();
    receiver.answer(() => undefined);
    {
      await using tracing = await openTracing(receiver);
      for (let index = 0; index < 20_000; index += 1) recordOne(tracing, `r${index}`);
      await waitUntil(() => expect(receiver.requests.length).toBeGreaterThan(0));
      receiver.answer(acceptSpans);
    }
    expect(receiver.spans.length).toBeLessThanOrEqual(8_192);
  });
});
