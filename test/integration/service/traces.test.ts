import { describe, expect, it } from 'vitest';
import { traceIdsOf } from '../../../src/telemetry/spans.ts';
import { openReceiver, type ReceivedSpan } from '../../telemetry/receiver.ts';
import { within } from './service-process.ts';
import { openWorld } from './world.ts';

const childrenOf = (spans: readonly ReceivedSpan[], { spanId }: ReceivedSpan): readonly string[] =>
  spans.filter(({ parentSpanId }) => parentSpanId === spanId).map(({ name }) => name);

describe('the traces of a running service', () => {
  it('a trace connects a sweep or request with its write, and is sent before the process exits', async () => {
    await using receiver = await openReceiver();
    await using world = await openWorld({
      config: ({ prefix, ns }) => `tracing: { otlp: { endpoint: '${receiver.endpoint}' } }
mappings:
  - name: db
    target: { namespace: ${ns('apps')} }
    refresh: 5s
    data: { PASSWORD: { store: vault, key: ${prefix}/db, property: password } }
`,
    });
    await world.vault.put('db', { password: 'first-s3cr3t' });
    await using served = await world.serve();
    await within(20_000, async () => expect(await world.secret('db')).toBeDefined());
    await world.vault.put('db', { password: 'second-s3cr3t' });
    await within(30_000, () =>
      expect(receiver.spans.some(({ attributes }) => attributes.outcome === 'updated')).toBe(true),
    );
    const job = receiver.spans.find(({ attributes }) => attributes.outcome === 'updated');
    const trace = receiver.spans.filter(({ traceId }) => traceId === job?.traceId);
    const sweep = trace.find(({ name }) => name === 'sweep');
    expect(sweep).toMatchObject({ attributes: { store: 'vault', reason: 'sweep' } });
    expect(sweep?.parentSpanId ?? '').toBe('');
    expect(job).toMatchObject({
      parentSpanId: sweep?.spanId,
      attributes: { mapping: 'db', reason: 'sweep' },
    });
    expect(job && childrenOf(trace, job)).toEqual(['gather', 'plan', 'intent', 'write', 'outcome']);

    const answer = await served.send('POST', '/api/v1/mappings/db/sync', world.tokens.ann);
    const { requestId } = JSON.parse(answer.text) as { requestId: string };
    const { code } = await served.stop();
    expect(code).toBe(0);
    const { traceId, spanId } = traceIdsOf(requestId);
    const syncSpans = receiver.spans.filter((span) => span.traceId === traceId);
    expect(syncSpans.find((span) => span.spanId === spanId)).toMatchObject({
      name: 'trigger',
      attributes: { reason: 'manual' },
    });
    expect(syncSpans.find(({ name }) => name === 'job')).toMatchObject({ parentSpanId: spanId });
    const sent = receiver.bodies.join();
    for (const hidden of ['first-s3cr3t', 'second-s3cr3t', world.vault.env.SECRET_ID, world.tokens.ann])
      expect(sent).not.toContain(hidden);
  });
});
