import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { soon } from '../soon.ts';
import { one, open, TOKEN } from './otlp-open.ts';
import { openReceiver, taking } from './receiver.ts';

describe('OTLP', () => {
  it('goes to the path of the signal as JSON, with the headers and who sends it', async () => {
    await using receiver = await openReceiver();
    await using tracing = await open({ endpoint: `${receiver.endpoint}/` });
    one(tracing);
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

  it('takes a header that has changed without being opened anew', async () => {
    await using receiver = await openReceiver();
    let header = 'old';
    await using tracing = await open(receiver, async () => header);
    one(tracing, 'a');
    await tracing.flush(5_000);
    header = 'new';
    one(tracing, 'b');
    await tracing.flush(5_000);
    expect(receiver.requests.map(({ headers }) => headers.authorization)).toEqual(['old', 'new']);
  });

  it.each([
    ['refuses it', 401, 'a s3cr3t answer'],
    ['asks to wait for too long', 429, ''],
  ])('of a collector that %s is told once, and once when it is well again', async (_, status, body) => {
    await using receiver = await openReceiver();
    await using tracing = await open(receiver);
    receiver.answer((response) => void response.writeHead(status, { 'retry-after': '60' }).end(body));
    for (const id of ['a', 'b', 'c']) {
      one(tracing, id);
      await tracing.flush(5_000);
    }
    expect(tracing.states).toEqual(['TRACES_NOT_SENT']);
    expect(JSON.stringify(tracing.errors)).not.toContain('s3cr3t');
    receiver.answer(taking);
    one(tracing, 'd');
    await tracing.flush(5_000);
    expect(tracing.states).toEqual(['TRACES_NOT_SENT', 'well']);
    expect(receiver.spans).toHaveLength(1);
  });

  it('says which credential is missing', async () => {
    await using receiver = await openReceiver();
    await using tracing = await open(receiver, () => Promise.reject(new AppError('CREDENTIAL_MISSING')));
    one(tracing);
    await tracing.flush(5_000);
    expect(tracing.states).toEqual(['CREDENTIAL_MISSING']);
    expect(receiver.requests).toEqual([]);
  });

  it('of a collector that never answers holds up neither a flush nor the end, which tells of it', async () => {
    await using receiver = await openReceiver();
    receiver.answer(() => undefined);
    const began = performance.now();
    const states: (readonly string[])[] = [];
    {
      await using tracing = await open(receiver);
      states.push(tracing.states);
      one(tracing);
      await tracing.flush(50);
      expect(performance.now() - began).toBeLessThan(1_000);
      expect(tracing.states).toEqual([]);
    }
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(states).toEqual([['TRACES_NOT_SENT']]);
  });

  it('sends what is left at the end', async () => {
    await using receiver = await openReceiver();
    {
      await using tracing = await open(receiver);
      one(tracing);
    }
    expect(receiver.spans).toHaveLength(1);
  });

  it('loses what does not fit while nobody is there, and keeps no more', async () => {
    await using receiver = await openReceiver();
    receiver.answer(() => undefined);
    {
      await using tracing = await open(receiver);
      for (let index = 0; index < 20_000; index += 1) one(tracing, `r${index}`);
      await soon(() => expect(receiver.requests.length).toBeGreaterThan(0));
      receiver.answer(taking);
    }
    expect(receiver.spans.length).toBeLessThanOrEqual(8_192);
  });
});
