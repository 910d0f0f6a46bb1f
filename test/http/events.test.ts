import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { SECRET, seconds, sign, startEventTestServer } from './events-harness.ts';
import { startTestServer, TOKENS } from './harness.ts';

const BODY = '{"store":"team-vault","key":"payments/db"}';

describe('a signed webhook', () => {
  it('a signed webhook event is accepted, and its request id is returned in the response', async () => {
    await using events = await startEventTestServer();
    const { status, json, headers } = await events.webhook(BODY);
    expect(status).toBe(202);
    expect(json).toEqual({ requestId: headers['x-request-id'], targets: 1 });
    expect(events.submissions).toEqual([
      {
        hints: [{ store: 'team-vault', keys: ['payments/db'] }],
        origin: { kind: 'webhook', name: 'ci' },
        requestId: json.requestId,
      },
    ]);
  });

  it('a signed webhook event is verified by its bytes, regardless of its content type', async () => {
    await using events = await startEventTestServer();
    const spaced = ' { "store" : "team-vault",\n"key":"gr\\u00fcn/🔑" } ';
    const answer = await events.api.call('POST', '/events/webhook/ci', {
      body: spaced,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-secretbridge-signature': sign(spaced),
      },
    });
    expect(answer.status).toBe(202);
    expect(events.submissions[0]?.hints).toEqual([{ store: 'team-vault', keys: ['grün/🔑'] }]);
  });

  it('a signed webhook event can contain signatures of several keys and of unknown schemes', async () => {
    await using events = await startEventTestServer();
    const mine = sign(BODY).split(',')[1] ?? '';
    const [time, other = ''] = sign(BODY, undefined, 'another key').split(',');
    const upper = `v1=${mine.slice(3).toUpperCase()}`;
    expect((await events.webhook(BODY, { signature: `${time}, ${other}, ${upper},v2=x` })).status).toBe(202);
    expect((await events.webhook(BODY, { signature: `${time},${other}` })).status).toBe(401);
  });

  it.each([
    ['not there', undefined],
    ['that is empty', ''],
    ['without a time', sign(BODY).split(',')[1]],
    ['without a signature', `t=${seconds(Date.now())}`],
    ['of another key', sign(BODY, undefined, 'another key')],
    ['of another body', sign(`${BODY} `)],
    ['of another time', sign(BODY).replace(/t=\d+/, (time) => `t=${Number(time.slice(2)) + 1}`)],
    ['with two times', `t=1,${sign(BODY)}`],
    ['with a fraction of a second', sign(BODY).replace(',', '.0,')],
    ['cut short', sign(BODY).slice(0, -2)],
    ['of too many', `${sign(BODY)}${',v1='.padEnd(68, 'a').repeat(8)}`],
  ])('a signed webhook event is rejected if its signature is %s', async (_, signature) => {
    await using events = await startEventTestServer();
    const { status, json, headers } = await events.webhook(BODY, { signature });
    expect([status, json.code, json.requestId]).toEqual([401, 'EVENT_REFUSED', headers['x-request-id']]);
    expect(headers).toHaveProperty('www-authenticate');
    expect(events.submissions).toEqual([]);
    expect(events.refused).toEqual([{ kind: 'webhook', name: 'ci', outcome: 'refused' }]);
  });

  it.each([
    [-301_000, 401],
    [-299_000, 202],
    [299_000, 202],
    [301_000, 401],
  ])(
    'a signed webhook event is accepted only if its time is within five minutes of now: %i ms returns status %i',
    async (distance, status) => {
      await using events = await startEventTestServer();
      const signature = sign(BODY, events.now + distance);
      expect((await events.webhook(BODY, { signature })).status).toBe(status);
    },
  );

  it('a signed webhook event is accepted only once within the time in which it is valid', async () => {
    await using events = await startEventTestServer();
    const signature = sign(BODY, events.now + 299_000);
    const [, digest = ''] = signature.split(',');
    const [first, second] = await Promise.all([
      events.webhook(BODY, { signature }),
      events.webhook(BODY, { signature }),
    ]);
    expect([first.status, second.status].sort()).toEqual([202, 401]);
    events.now += 590_000;
    for (const again of [signature, `${signature},${digest}`, `${signature},v1=${'0'.repeat(64)}`])
      expect((await events.webhook(BODY, { signature: again })).json.message).toMatch(/replay/);
    expect((await events.webhook(BODY)).status).toBe(202);
    expect(events.submissions).toHaveLength(2);
  });

  it.each([
    ['that is not JSON', '{"store":"team-vault"'],
    ['that is not an object', '[]'],
    ['that is empty', ''],
    ['without a key', '{"store":"team-vault"}'],
    ['with an empty key', '{"store":"team-vault","key":""}'],
    ['with a key that is not text', '{"store":"team-vault","key":7}'],
    ['with an extra member', '{"store":"team-vault","key":"a","value":"x"}'],
    ['with a duplicate member', '{"store":"team-vault","key":"a","key":"b"}'],
    ['with a __proto__ member', '{"store":"team-vault","key":"a","__proto__":{}}'],
    ['about a store of another webhook', '{"store":"aws-prod","key":"a"}'],
    ['with a key that is too long', JSON.stringify({ store: 'team-vault', key: 'k'.repeat(2_049) })],
  ])(
    'a signed webhook event is rejected as malformed and can be sent again if it has a body %s',
    async (_, body) => {
      await using events = await startEventTestServer();
      const { status, json } = await events.webhook(body);
      expect([status, json.code]).toEqual([400, 'INVALID_REQUEST']);
      expect(events.submissions).toEqual([]);
      expect(events.refused).toEqual([{ kind: 'webhook', name: 'ci', outcome: 'malformed' }]);
      expect((await events.webhook(body)).status).toBe(400);
    },
  );

  it('a signed webhook event is rejected without being read if it exceeds the size limit', async () => {
    await using events = await startEventTestServer();
    const { status, json } = await events.webhook(
      JSON.stringify({ store: 'team-vault', key: 'k'.repeat(17_000) }),
    );
    expect([status, json.code]).toEqual([413, 'INVALID_REQUEST']);
    expect(events.refused).toEqual([{ kind: 'webhook', name: 'ci', outcome: 'refused' }]);
  });

  it('the webhook route returns 404 for an unknown name, and 405 for any method except POST', async () => {
    await using events = await startEventTestServer();
    for (const name of ['other', '__proto__', 'contoso', '%00'])
      expect((await events.webhook(BODY, { name })).status).toBe(404);
    const answer = await events.api.call('PUT', '/events/webhook/ci', { body: BODY });
    expect([answer.status, answer.headers.allow]).toEqual([405, 'POST']);
  });

  it('the webhook route requires a signature, and does not accept a token instead', async () => {
    await using events = await startEventTestServer();
    const answer = await events.api.call('POST', '/events/webhook/ci', {
      token: TOKENS.operator,
      body: BODY,
    });
    expect(answer.status).toBe(401);
  });
});

describe('the key of a webhook', () => {
  it('the key of a webhook can be rotated at run time', async () => {
    await using events = await startEventTestServer();
    expect((await events.webhook(BODY)).status).toBe(202);
    events.credentials.set('HOOK', 'the next one');
    events.now += 1_000;
    const next = sign(BODY, events.now, 'the next one');
    expect((await events.webhook(BODY, { signature: next })).status).toBe(202);
    events.now += 1_000;
    expect((await events.webhook(BODY, { signature: sign(BODY, events.now, SECRET) })).status).toBe(401);
  });

  it('a rotation of the webhook key does not allow a replay with a second signature', async () => {
    await using events = await startEventTestServer();
    const mine = sign(BODY, events.now);
    const next = sign(BODY, events.now, 'the next one').split(',')[1];
    const signature = `${mine},${next}`;
    expect((await events.webhook(BODY, { signature })).status).toBe(202);
    events.credentials.set('HOOK', 'the next one');
    events.now += 10_000;
    const { status, json } = await events.webhook(BODY, { signature });
    expect([status, json.message]).toEqual([401, expect.stringContaining('replay')]);
    expect(events.submissions).toHaveLength(1);
  });

  it('the old key of a webhook is rejected soon after a rotation, even if the new key is not used yet', async () => {
    await using events = await startEventTestServer();
    expect((await events.webhook(BODY)).status).toBe(202);
    events.credentials.set('HOOK', 'the next one');
    events.now += 10_000;
    expect((await events.webhook(BODY, { signature: sign(BODY, events.now, SECRET) })).status).toBe(401);
  });

  it('the key of a webhook causes 503 while it cannot be read, and is read again after a second', async () => {
    await using events = await startEventTestServer();
    events.credentials.delete('HOOK');
    expect(await events.webhook(BODY)).toMatchObject({ status: 503, json: { code: 'CREDENTIAL_MISSING' } });
    events.credentials.set('HOOK', SECRET);
    expect((await events.webhook(BODY)).status).toBe(503);
    events.now += 1_000;
    expect((await events.webhook(BODY)).status).toBe(202);
  });

  it('the key of a webhook is read at most once a second, regardless of the number of forged requests', async () => {
    await using events = await startEventTestServer();
    for (let count = 0; count < 50; count += 1)
      await events.webhook(BODY, { signature: sign(BODY, events.now, 'x') });
    expect(events.reads).toEqual(['HOOK']);
    events.now += 1_000;
    for (let count = 0; count < 50; count += 1)
      await events.webhook(BODY, { signature: sign(BODY, events.now, 'x') });
    expect(events.reads).toEqual(['HOOK', 'HOOK']);
  });
});

describe('responses to unauthenticated events', () => {
  it('responses to events contain only the error code if the key cannot be read', async () => {
    await using events = await startEventTestServer();
    events.failure = new AppError('CREDENTIAL_MISSING', {
      detail: 'file /etc/hook.key cannot be read: EACCES',
    });
    for (const answer of [await events.webhook(BODY), await events.grid([])]) {
      expect([answer.status, answer.json.code]).toEqual([503, 'CREDENTIAL_MISSING']);
      expect(answer.text).not.toContain('hook.key');
    }
    // The path of the key is in the log, where operators can see it.
    const [line] = events.api.log.filter(({ message }) => message === 'events cannot be accepted');
    expect(line?.fields.error).toMatchObject({ message: expect.stringContaining('/etc/hook.key') });
  });

  it('responses to events have status 503 if the Secret with the key cannot be read', async () => {
    await using events = await startEventTestServer();
    events.failure = new AppError('NAMESPACE_MISSING', { subject: 'bridge' });
    expect((await events.webhook(BODY)).status).toBe(503);
    events.failure = new TypeError('oops');
    events.now += 1_000;
    expect(await events.webhook(BODY)).toMatchObject({ status: 500, json: { code: 'INTERNAL' } });
  });

  it('names of event sources cannot be guessed: guesses are blocked, and valid events are still accepted', async () => {
    await using events = await startEventTestServer();
    const guess = (name: string) => events.webhook(BODY, { name, from: '192.0.2.7' });
    for (let count = 0; count < 30; count += 1) expect((await guess(`name-${count}`)).status).toBe(404);
    expect((await guess('name-31')).status).toBe(429);
    expect((await events.grid([], { name: 'other', from: '192.0.2.7' })).status).toBe(429);
    expect((await events.webhook(BODY, { from: '192.0.2.7' })).status).toBe(202);
  });

  it('responses to events have status 503 while the service is starting', async () => {
    const starting = (): never => {
      throw new AppError('STORE_UNAVAILABLE', { subject: 'store of /etc/secrets' });
    };
    await using api = await startTestServer({ events: { webhook: starting, eventGrid: starting } });
    for (const url of ['/events/webhook/ci', '/events/azure/contoso']) {
      const answer = await api.call('POST', url, { body: BODY });
      expect([answer.status, answer.json.code]).toEqual([503, 'STORE_UNAVAILABLE']);
      expect(answer.text).not.toContain('/etc');
    }
  });
});

describe('a flood of events', () => {
  it('a flood of events with forged signatures gets 429, and valid events from the same address are accepted', async () => {
    await using events = await startEventTestServer();
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

  it('the log gets one line at the start of a flood of events, and the number of events a minute later', async () => {
    await using events = await startEventTestServer();
    const lines = () => events.api.log.filter(({ level }) => level !== 'debug');
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

  it('a flood of events for one webhook does not block another webhook behind the same proxy', async () => {
    await using events = await startEventTestServer({ requests: 5 });
    for (let count = 0; count < 5; count += 1) await events.webhook(BODY, { name: 'other', signature: 'x' });
    expect((await events.webhook(BODY, { name: 'other' })).status).toBe(429);
    expect((await events.webhook(BODY)).status).toBe(202);
  });

  it('the limit of events applies to each client address separately, and ignores forged forwarding headers', async () => {
    await using events = await startEventTestServer({ requests: 5 });
    const statuses: number[] = [];
    for (let count = 0; count < 6; count += 1) {
      const { status } = await events.api.call('POST', '/events/webhook/ci', {
        body: BODY,
        headers: { 'x-forwarded-for': `198.51.100.${count}`, 'x-real-ip': `198.51.100.${count}` },
      });
      statuses.push(status);
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
  });

  it('events do not count toward the limit of API requests', async () => {
    await using events = await startEventTestServer({ requests: 5 });
    for (let count = 0; count < 5; count += 1) await events.webhook(BODY, { signature: 'x' });
    expect((await events.webhook(BODY)).status).toBe(429);
    expect((await events.api.get('/api/v1/status')).status).toBe(200);
    expect((await events.grid([])).status).toBe(202);
  });
});

describe('the API description', () => {
  it('the API description documents the event routes', async () => {
    await using events = await startEventTestServer();
    const { paths } = (await events.api.get('/api/openapi.json')).json as {
      paths: Record<string, Record<string, unknown>>;
    };
    expect(paths['/events/webhook/{name}']?.post).toMatchObject({
      security: [{ webhook: [] }],
      responses: { 202: {}, 401: {} },
    });
    expect(paths['/events/azure/{name}']).toMatchObject({ post: {}, options: {} });
  });
});
