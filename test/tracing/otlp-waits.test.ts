import { expect, it } from 'vitest';
import { one, open } from './otlp-open.ts';
import { openReceiver, taking } from './receiver.ts';

it('OTLP is tried again when asked to wait', async () => {
  await using receiver = await openReceiver();
  await using tracing = await open(receiver);
  receiver.answer((response) => {
    receiver.answer(taking);
    response.writeHead(429, { 'retry-after': '1' }).end();
  });
  one(tracing);
  await tracing.flush(5_000);
  expect(receiver.requests).toHaveLength(2);
  expect(receiver.spans).toHaveLength(1);
  expect(tracing.states).toEqual([]);
});
