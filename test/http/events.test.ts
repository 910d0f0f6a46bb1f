import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { openEventBench, SECRET, seconds, sign } from './events-bench.ts';
import { openBench, TOKENS } from './harness.ts';

const BODY = '{"store":"team-vault","key":"payments/db"}';

describe('a signed webhook', () => {
  it('is taken, under the id of its answer', async () => {
    await using events = await openEventBench();
    const { status, json, headers } = await events.webhook(BODY);
    expect(status).toBe(202);
    expect(json).toEqual({ requestId: headers['x-request-id'], targets: 1 });
    expect(events.took).toEqual([
      {
        hints: [{ store: 'team-vault', keys: ['payments/db'] }],
        origin: { kind: 'webhook', name: 'ci' },
        requestId: json.requestId,
      },
    ]);
  });

  it('is signed over its bytes, whatever their type is said to be', async () => {
    await using events = await openEventBench();
    const spaced = ' { "store" : "team-vault",\n"key":"gr\\u00fcn/🔑" } ';
    const answer = await events.bench.call('POST', '/events/webhook/ci', {
      body: spaced,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-secretbridge-signature': sign(spaced),
      },
    });
    expect(answer.status).toBe(202);
    expect(events.took[0]?.hints).toEqual([{ store: 'team-vault', keys: ['grün/🔑'] }]);
  });

  it('may carry signatures of two keys, and of schemes to come', async () => {
    await using events = await openEventBench();
    const mine = sign(BODY).split(',')[1] ?? '';
    const [time, other = ''] = sign(BODY, undefined, 'another key').split(',');
    const upper = `v1=${mine.slice(3).toUpperCase()}`;
    expect((await events.webhook(BODY, { signature: `${time}, ${other}, ${upper},v2=x` })).status).toBe(202);
    expect((await events.webhook(BODY, { signature: `${time},${other}` })).status).toBe(401);
  });

  it.each([
    ['not there', undefined],
    ['empty', ''],
    ['without a time', sign(BODY).split(',')[1]],
    ['without a signature', `t=${seconds(Date.now())}`],
    ['of another key', sign(BODY, undefined, 'another key')],
    ['of another body', sign(`${BODY} `)],
    ['of another time', sign(BODY).replace(/t=\d+/, (time) => `t=${Number(time.slice(2)) + 1}`)],
    ['with two times', `t=1,${sign(BODY)}`],
    ['with a fraction of a second', sign(BODY).replace(',', '.0,')],
    ['cut short', sign(BODY).slice(0, -2)],
    ['of too many', `${sign(BODY)}${',v1='.padEnd(68, 'a').repeat(8)}`],
  ])('is refused when its signature is %s', async (_, signature) => {
    await using events = await openEventBench();
    const { status, json, headers } = await events.webhook(BODY, { signature });
    expect([status, json.code, json.requestId]).toEqual([401, 'EVENT_REFUSED', headers['x-request-id']]);
    expect(headers).toHaveProperty('www-authenticate');
    expect(events.took).toEqual([]);
    expect(events.refused).toEqual([{ kind: 'webhook', name: 'ci', outcome: 'refused' }]);
  });

  it.each([
    [-301_000, 401],
    [-299_000, 202],
    [299_000, 202],
    [301_000, 401],
  ])('that was signed %i ms from now is answered with %i', async (distance, status) => {
    await using events = await openEventBench();
    const signature = sign(BODY, events.now + distance);
    expect((await events.webhook(BODY, { signature })).status).toBe(status);
  });

  it('is taken once, as long as its time would let it in again', async () => {
    await using events = await openEventBench();
    const signature = sign(BODY, events.now + 299_000);
    const [, digest = ''] = signature.split(',');
    const [first, second] = await Promise.all([
      events.webhook(BODY, { signature }),
      events.webhook(BODY, { signature }),
    ]);
    expect([first.status, second.status].sort()).toEqual([202, 401]);
    events.now += 590_000;
    for (const again of [signature, `${signature},${digest}`, `${signature},v1=${'0'.repeat(64)}`])
      expect((await events.webhook(BODY, { signature: again })).json.message).toMatch(/came before/);
    expect((await events.webhook(BODY)).status).toBe(202);
    expect(events.took).toHaveLength(2);
  });

  it.each([
    ['no JSON', '{"store":"team-vault"'],
    ['no object', '[]'],
    ['empty', ''],
    ['without a key', '{"store":"team-vault"}'],
    ['with an empty key', '{"store":"team-vault","key":""}'],
    ['with a key that is no text', '{"store":"team-vault","key":7}'],
    ['with a member more', '{"store":"team-vault","key":"a","value":"x"}'],
    ['with a member twice', '{"store":"team-vault","key":"a","key":"b"}'],
    ['with a prototype', '{"store":"team-vault","key":"a","__proto__":{}}'],
    ['about a store that is not its own', '{"store":"aws-prod","key":"a"}'],
    ['with a key that is too long', JSON.stringify({ store: 'team-vault', key: 'k'.repeat(2_049) })],
  ])('whose body is %s is a wrong request, and may be corrected and sent again', async (_, body) => {
    await using events = await openEventBench();
    const { status, json } = await events.webhook(body);
    expect([status, json.code]).toEqual([400, 'INVALID_REQUEST']);
    expect(events.took).toEqual([]);
    expect(events.refused).toEqual([{ kind: 'webhook', name: 'ci', outcome: 'malformed' }]);
    expect((await events.webhook(body)).status).toBe(400);
  });

  it('is refused unread when it is too large', async () => {
    await using events = await openEventBench();
    const { status, json } = await events.webhook(
      JSON.stringify({ store: 'team-vault', key: 'k'.repeat(17_000) }),
    );
    expect([status, json.code]).toEqual([413, 'INVALID_REQUEST']);
    expect(events.refused).toEqual([{ kind: 'webhook', name: 'ci', outcome: 'refused' }]);
  });

  it('of a name that is not configured is not there, and neither is another method', async () => {
    await using events = await openEventBench();
    for (const name of ['other', '__proto__', 'contoso', '%00'])
      expect((await events.webhook(BODY, { name })).status).toBe(404);
    const answer = await events.bench.call('PUT', '/events/webhook/ci', { body: BODY });
    expect([answer.status, answer.headers.allow]).toEqual([405, 'POST']);
  });

  it('needs no token, and a token is no signature', async () => {
    await using events = await openEventBench();
    const answer = await events.bench.call('POST', '/events/webhook/ci', {
      token: TOKENS.operator,
      body: BODY,
    });
    expect(answer.status).toBe(401);
  });
});

describe('the key of a webhook', () => {
  it('may be rotated while the service runs', async () => {
    await using events = await openEventBench();
    expect((await events.webhook(BODY)).status).toBe(202);
    events.credentials.set('HOOK', 'the next one');
    events.now += 1_000;
    const next = sign(BODY, events.now, 'the next one');
    expect((await events.webhook(BODY, { signature: next })).status).toBe(202);
    events.now += 1_000;
    expect((await events.webhook(BODY, { signature: sign(BODY, events.now, SECRET) })).status).toBe(401);
  });

  it('lets no event in a second time though it had a signature of both', async () => {
    await using events = await openEventBench();
    const mine = sign(BODY, events.now);
    const next = sign(BODY, events.now, 'the next one').split(',')[1];
    const signature = `${mine},${next}`;
    expect((await events.webhook(BODY, { signature })).status).toBe(202);
    events.credentials.set('HOOK', 'the next one');
    events.now += 10_000;
    const { status, json } = await events.webhook(BODY, { signature });
    expect([status, json.message]).toEqual([401, expect.stringContaining('came before')]);
    expect(events.took).toHaveLength(1);
  });

  it('stops being accepted soon after it was replaced, though nobody uses the next one', async () => {
    await using events = await openEventBench();
    expect((await events.webhook(BODY)).status).toBe(202);
    events.credentials.set('HOOK', 'the next one');
    events.now += 10_000;
    expect((await events.webhook(BODY, { signature: sign(BODY, events.now, SECRET) })).status).toBe(401);
  });

  it('that cannot be read is our fault, not the sender’s, and is read again a second later', async () => {
    await using events = await openEventBench();
    events.credentials.delete('HOOK');
    expect(await events.webhook(BODY)).toMatchObject({ status: 503, json: { code: 'CREDENTIAL_MISSING' } });
    events.credentials.set('HOOK', SECRET);
    expect((await events.webhook(BODY)).status).toBe(503);
    events.now += 1_000;
    expect((await events.webhook(BODY)).status).toBe(202);
  });

  it('is read once a second at most, however many are forged', async () => {
    await using events = await openEventBench();
    for (let count = 0; count < 50; count += 1)
      await events.webhook(BODY, { signature: sign(BODY, events.now, 'x') });
    expect(events.reads).toEqual(['HOOK']);
    events.now += 1_000;
    for (let count = 0; count < 50; count += 1)
      await events.webhook(BODY, { signature: sign(BODY, events.now, 'x') });
    expect(events.reads).toEqual(['HOOK', 'HOOK']);
  });
});

describe('what is told to somebody who has shown nothing', () => {
  it('is the code alone where it is about a key of ours', async () => {
    await using events = await openEventBench();
    events.failure = new AppError('CREDENTIAL_MISSING', {
      detail: 'file /etc/hook.key cannot be read: EACCES',
    });
    for (const answer of [await events.webhook(BODY), await events.grid([])]) {
      expect([answer.status, answer.json.code]).toEqual([503, 'CREDENTIAL_MISSING']);
      expect(answer.text).not.toContain('hook.key');
    }
    // Whoever runs it finds the place in the log.
    const [line] = events.bench.log.filter(({ message }) => message === 'events cannot be taken');
    expect(line?.fields.error).toMatchObject({ message: expect.stringContaining('/etc/hook.key') });
  });

  it('is 503 where the key is in a Secret that we may not read, and not a fault of the sender', async () => {
    await using events = await openEventBench();
    events.failure = new AppError('NAMESPACE_MISSING', { about: 'bridge' });
    expect((await events.webhook(BODY)).status).toBe(503);
    events.failure = new TypeError('oops');
    events.now += 1_000;
    expect(await events.webhook(BODY)).toMatchObject({ status: 500, json: { code: 'INTERNAL' } });
  });

  it('is no list of names: those who guess at them are stopped, and right events go on', async () => {
    await using events = await openEventBench();
    const guess = (name: string) => events.webhook(BODY, { name, from: '192.0.2.7' });
    for (let count = 0; count < 30; count += 1) expect((await guess(`name-${count}`)).status).toBe(404);
    expect((await guess('name-31')).status).toBe(429);
    expect((await events.grid([], { name: 'other', from: '192.0.2.7' })).status).toBe(429);
    expect((await events.webhook(BODY, { from: '192.0.2.7' })).status).toBe(202);
  });

  it('is that the service starts, for as long as it does', async () => {
    const starting = (): never => {
      throw new AppError('STORE_UNAVAILABLE', { about: 'store of /etc/secrets' });
    };
    await using bench = await openBench({ events: { webhook: starting, eventGrid: starting } });
    for (const url of ['/events/webhook/ci', '/events/azure/contoso']) {
      const answer = await bench.call('POST', url, { body: BODY });
      expect([answer.status, answer.json.code]).toEqual([503, 'STORE_UNAVAILABLE']);
      expect(answer.text).not.toContain('/etc');
    }
  });
});

describe('a flood', () => {
  it('of forged ones is answered with 429, and shuts out no right one of the same address', async () => {
    await using events = await openEventBench();
    const forged = () =>
      events.webhook(BODY, { signature: sign(BODY, events.now, 'guess'), from: '192.0.2.7' });
    for (let count = 0; count < 30; count += 1) expect((await forged()).status).toBe(401);
    const { status, headers } = await forged();
    expect([status, headers['retry-after']]).toEqual([429, '60']);
    expect((await events.webhook(BODY, { from: '192.0.2.7' })).status).toBe(202);
    expect((await events.webhook(BODY, { signature: '', from: '192.0.2.8' })).status).toBe(401);
    events.now += 60_000;
    expect((await forged()).status).toBe(401);
  });

  it('has one line in the log, and another a minute later with how many there were', async () => {
    await using events = await openEventBench();
    const lines = () => events.bench.log.filter(({ level }) => level !== 'debug');
    for (let count = 0; count < 20; count += 1) await events.webhook(BODY, { signature: 'x' });
    expect(lines()).toEqual([
      {
        level: 'info',
        message: 'events refused',
        fields: { kind: 'webhook', name: 'ci', code: 'EVENT_REFUSED', address: '127.0.0.1', count: 1 },
      },
    ]);
    events.runTimers();
    expect(lines()).toHaveLength(2);
    expect(lines()[1]?.fields).toMatchObject({ code: 'EVENT_REFUSED', count: 19 });
    events.runTimers();
    events.runTimers();
    expect(lines()).toHaveLength(2);
  });

  it('of one webhook does not shut out another behind the same proxy', async () => {
    await using events = await openEventBench({ requests: 5 });
    for (let count = 0; count < 5; count += 1) await events.webhook(BODY, { name: 'other', signature: 'x' });
    expect((await events.webhook(BODY, { name: 'other' })).status).toBe(429);
    expect((await events.webhook(BODY)).status).toBe(202);
  });

  it('does not count an address that the sender makes up', async () => {
    await using events = await openEventBench({ requests: 5 });
    const statuses: number[] = [];
    for (let count = 0; count < 6; count += 1) {
      const { status } = await events.bench.call('POST', '/events/webhook/ci', {
        body: BODY,
        headers: { 'x-forwarded-for': `198.51.100.${count}`, 'x-real-ip': `198.51.100.${count}` },
      });
      statuses.push(status);
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
  });

  it('is counted apart from the requests of people', async () => {
    await using events = await openEventBench({ requests: 5 });
    for (let count = 0; count < 5; count += 1) await events.webhook(BODY, { signature: 'x' });
    expect((await events.webhook(BODY)).status).toBe(429);
    expect((await events.bench.get('/api/v1/status')).status).toBe(200);
    expect((await events.grid([])).status).toBe(202);
  });
});

describe('without events', () => {
  it('there is no webhook, and the description has it all the same', async () => {
    await using events = await openEventBench();
    const { paths } = (await events.bench.get('/api/openapi.json')).json as {
      paths: Record<string, Record<string, unknown>>;
    };
    expect(paths['/events/webhook/{name}']?.post).toMatchObject({
      security: [{ webhook: [] }],
      responses: { 202: {}, 401: {} },
    });
    expect(paths['/events/azure/{name}']).toMatchObject({ post: {}, options: {} });
  });
});
