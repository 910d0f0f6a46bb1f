import { expect, it } from 'vitest';
import { openTracing, recordOne } from './otlp-harness.ts';
import { acceptSpans, openReceiver } from './receiver.ts';

it('the OTLP exporter retries after the delay that the collector requests', async () => {
  await using receiver = await openReceiver();
  await using tracing = await openTracing(receiver);
  receiver.answer((response) => {
    receiver.answer(acceptSpans);
    response.writeHead(429, { 'retry-after': '1' }).end();
  });
  recordOne(tracing);
  await tracing.flush(5_000);
  expect(receiver.requests).toHaveLength(2);
  expect(receiver.spans).toHaveLength(1);
  expect(tracing.states).toEqual([]);
});
