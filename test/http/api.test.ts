import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { bare, entry } from '../audit/sample.ts';
import { held, startTestServer, TOKENS } from './harness.ts';

describe('the probes', () => {
  it('the probes report a healthy service', async () => {
    await using api = await startTestServer({ config: { metricsNeedToken: false, instance: 'prod' } });
    const alive = { ok: true, stalled: [], instance: 'prod' };
    expect(await api.call('GET', '/livez')).toMatchObject({ status: 200, json: alive });
    expect(await api.call('GET', '/readyz')).toMatchObject({ status: 200, json: { ok: true } });
  });

  it('the probes name exactly the stalled loops', async () => {
    const loop = { ageMs: 90_000, deadlineMs: 60_000 };
    const loops = () => [
      { ...loop, name: 'watch of secrets', stalled: true },
      { ...loop, name: 'queue', stalled: false },
    ];
    await using api = await startTestServer({ service: { loops } });
    expect(await api.call('GET', '/livez')).toMatchObject({
      status: 503,
      json: { ok: false, stalled: ['watch of secrets'] },
    });
  });

  it('the probes report no more than the code of a readiness failure', async () => {
    const notReady = async () =>
      new AppError('AUDIT_UNAVAILABLE', { subject: 'audit store /somewhere/audit.db' });
    await using api = await startTestServer({ service: { notReady } });
    const { status, json, text } = await api.call('GET', '/readyz');
    expect([status, json.code]).toEqual([503, 'AUDIT_UNAVAILABLE']);
    expect(text).not.toContain('/somewhere');
  });

  it('the probes report every readiness failure with status 503', async () => {
    await using api = await startTestServer({
      service: { notReady: async () => new AppError('CONFIG_INVALID') },
    });
    expect(await api.call('GET', '/readyz')).toMatchObject({
      status: 503,
      json: { code: 'CONFIG_INVALID' },
    });
  });
});

describe('the status, mappings and holds routes', () => {
  it('the status, mappings and holds routes return the state of the service', async () => {
    await using api = await startTestServer();
    expect((await api.get('/api/v1/status')).json).toMatchObject({
      instance: 'test',
      targets: [{ mapping: 'db' }],
    });
    expect((await api.get('/api/v1/mappings/db')).json).toMatchObject({ mapping: 'db' });
    expect((await api.get('/api/v1/held')).json).toEqual({ held: [held()] });
  });

  it('the status, mappings and holds routes return lists in pages', async () => {
    await using api = await startTestServer();
    const first = await api.get('/api/v1/mappings?limit=2');
    expect(first.json).toMatchObject({ mappings: [{ mapping: 'api' }, { mapping: 'db' }], next: 'db' });
    const second = await api.get(`/api/v1/mappings?limit=2&cursor=${String(first.json.next)}`);
    expect(second.json).toMatchObject({ mappings: [{ mapping: 'web' }] });
    expect(second.json).not.toHaveProperty('next');
  });

  it('the status, mappings and holds routes return 404 for an unknown mapping', async () => {
    await using api = await startTestServer();
    for (const path of ['other', '__proto__', 'a%2Fb', 'constructor'])
      expect(await api.get(`/api/v1/mappings/${path}`)).toMatchObject({
        status: 404,
        json: { code: 'NOT_FOUND' },
      });
  });
});

describe('the sync and release routes', () => {
  it("the sync and release routes pass the caller and the response's request id to the service", async () => {
    await using api = await startTestServer();
    const headers = { 'x-request-id': 'theirs' };
    const sync = await api.call('POST', '/api/v1/mappings/db/sync', { token: TOKENS.operator, headers });
    const release = await api.call('POST', '/api/v1/held/5f2c9a01d3e4/release', {
      token: TOKENS.operator,
      from: '192.0.2.7',
    });
    expect([sync.status, release.status]).toEqual([200, 200]);
    expect(api.calls).toEqual([
      {
        what: 'sync db',
        by: { name: 'the-operator', address: '127.0.0.1' },
        requestId: sync.headers['x-request-id'],
      },
      {
        what: 'release 5f2c9a01d3e4',
        by: { name: 'the-operator', address: '192.0.2.7' },
        requestId: release.headers['x-request-id'],
      },
    ]);
    expect(sync.json.requestId).toBe(sync.headers['x-request-id']);
    expect(sync.headers['x-request-id']).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  });

  it('the sync and release routes return 404 for unknown mappings and holds', async () => {
    const release = async () => {
      throw new AppError('NOT_HELD');
    };
    await using api = await startTestServer({ service: { release } });
    const token = TOKENS.operator;
    expect(await api.call('POST', '/api/v1/mappings/other/sync', { token })).toMatchObject({ status: 404 });
    expect(await api.call('POST', '/api/v1/held/other/release', { token })).toMatchObject({
      status: 404,
      json: { code: 'NOT_HELD' },
    });
  });
});

describe('the audit routes', () => {
  it('the audit routes list records newest first, in pages', async () => {
    await using api = await startTestServer();
    await api.audit.append([bare(), entry(), entry({ outcome: 'refused', action: 'refuse' })]);
    const first = await api.get('/api/v1/audit/records?limit=2');
    expect(first.json).toMatchObject({ records: [{ sequence: 3 }, { sequence: 2 }], next: '2' });
    const second = await api.get('/api/v1/audit/records?limit=2&cursor=2');
    expect(second.json).toMatchObject({ records: [{ sequence: 1 }] });
    expect(second.json).not.toHaveProperty('next');
  });

  it.each([
    ['mapping=payments-db&outcome=refused', [3]],
    ['action=sweep', [1]],
    ['actor=ann', [3, 2]],
    ['store=team-vault&key=payments%2Fdb', [3, 2]],
    ['request=request-0', [1]],
    ['since=2027-01-15T08:00:00Z', [3, 2, 1]],
    ['until=2027-01-15T07:59:59Z', []],
    ['since=1h', [3, 2, 1]],
  ])('the audit routes return only the records that match the filter %s', async (query, expected) => {
    await using api = await startTestServer({ clock: { now: () => 1_800_000_000_000 } });
    await api.audit.append([bare(), entry(), entry({ outcome: 'refused', action: 'refuse' })]);
    const { json } = await api.get(`/api/v1/audit/records?${query}`);
    expect((json.records as { sequence: number }[]).map(({ sequence }) => sequence)).toEqual(expected);
  });

  it.each([
    'since=yesterday',
    'since=1h&until=2h',
    'until=999999999d',
    'limit=0',
    'limit=1001',
    'limit=1&limit=2',
    'limit=ten',
    'cursor=-1',
    'cursor=abc',
    'action=destroy',
    'outcome=maybe',
    'code=lower',
    'fingerprint=x',
    'mapping=',
    'mapping=a&mapping=b',
    'colour=blue',
    'access_token=sesame',
  ])('the audit routes reject the query %s', async (query) => {
    await using api = await startTestServer();
    const { status, json } = await api.get(`/api/v1/audit/records?${query}`);
    expect([status, json.code]).toEqual([400, 'INVALID_REQUEST']);
  });

  it('the audit routes return one record', async () => {
    await using api = await startTestServer();
    await api.audit.append([entry()]);
    const { json } = await api.get('/api/v1/audit/records/1');
    expect(json).toMatchObject(JSON.parse(JSON.stringify(await api.audit.get(1))));
    expect(await api.get('/api/v1/audit/records/2')).toMatchObject({
      status: 404,
      json: { code: 'RECORD_MISSING' },
    });
    expect(await api.get('/api/v1/audit/records/0')).toMatchObject({ status: 400 });
  });
});

describe('an error response', () => {
  const body = (part: object) => ({ message: expect.any(String), remedy: expect.any(String), ...part });

  it.each([
    ['/nothing', 404, 'NOT_FOUND'],
    ['/api/v1/nothing', 404, 'NOT_FOUND'],
    [`/api/v1/mappings/${'x'.repeat(101)}`, 414, 'INVALID_REQUEST'],
    ['/api/v1/mappings/%zz', 400, 'INVALID_REQUEST'],
  ])('an error response has the common error format for %s', async (url, status, code) => {
    await using api = await startTestServer();
    const answer = await api.get(url);
    expect(answer.status).toBe(status);
    expect(answer.json).toEqual(body({ code, requestId: answer.headers['x-request-id'] }));
  });

  it('if a route does not support a method, the response names the allowed methods', async () => {
    await using api = await startTestServer();
    const token = TOKENS.operator;
    for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'POST'] as const)
      expect(await api.call(method, '/api/v1/status', { token })).toMatchObject({
        status: 405,
        headers: { allow: 'GET, HEAD' },
        json: { code: 'METHOD_NOT_ALLOWED' },
      });
    expect(await api.call('GET', '/api/v1/mappings/db/sync', { token })).toMatchObject({
      status: 405,
      headers: { allow: 'POST' },
    });
  });

  it.each([
    ['application/json', '{"a', 400],
    ['application/json', '{"__proto__": {}}', 400],
    ['text/plain', 'hello', 415],
    ['application/xml', '<a/>', 415],
    ['application/json', `"${'a'.repeat(70_000)}"`, 413],
  ])('the error response to an invalid body of type %s has a 4xx status', async (type, text, status) => {
    await using api = await startTestServer();
    const answer = await api.call('POST', '/api/v1/mappings/db/sync', {
      token: TOKENS.operator,
      headers: { 'content-type': type },
      body: text,
    });
    expect([answer.status, answer.json.code]).toEqual([status, 'INVALID_REQUEST']);
    expect(api.calls).toEqual([]);
  });

  it.each(['application/json', 'application/x-www-form-urlencoded', 'text/plain; charset=utf-8', 'none'])(
    'an empty body of type %s causes no error response',
    async (type) => {
      await using api = await startTestServer();
      const headers = { 'content-type': type, 'content-length': '0' };
      const answer = await api.call('POST', '/api/v1/mappings/db/sync', {
        token: TOKENS.operator,
        headers,
        body: '',
      });
      expect(answer.status).toBe(200);
    },
  );

  it('the details of an unexpected error are in the log under the request id, and not in the error response', async () => {
    const status = async () => {
      throw Object.assign(new Error('password hunter2 refused'), { statusCode: 418, code: 'EVIL' });
    };
    await using api = await startTestServer({ service: { status } });
    const answer = await api.get('/api/v1/status');
    expect(answer.status).toBe(500);
    expect(answer.json).toEqual(body({ code: 'INTERNAL', requestId: answer.headers['x-request-id'] }));
    expect(answer.text).not.toContain('hunter2');
    expect(api.log).toContainEqual({
      level: 'error',
      message: 'request failed',
      fields: expect.objectContaining({ requestId: answer.json.requestId, path: '/api/v1/status' }),
    });
  });

  it.each([
    ['QUEUE_UNAVAILABLE', 503],
    ['AUDIT_UNAVAILABLE', 503],
    ['AUDIT_TRUNCATED', 503],
    ['STORE_UNAVAILABLE', 503],
    ['NOT_HELD', 404],
    ['CONFIG_INVALID', 409],
    ['HELD', 409],
    ['INTERNAL', 500],
  ] as const)('the error of the service determines the status: %s returns %i', async (code, expected) => {
    const status = async () => {
      throw new AppError(code, { retryAfterMs: 1_500 });
    };
    await using api = await startTestServer({ service: { status } });
    const answer = await api.get('/api/v1/status');
    expect([answer.status, answer.json.code, answer.headers['retry-after']]).toEqual([expected, code, '2']);
  });
});

describe('every response', () => {
  it('every response forbids caching, framing, content sniffing and referrers, and does not name the server software', async () => {
    await using api = await startTestServer();
    for (const url of ['/livez', '/api/v1/status', '/nothing', '/metrics', '/api/openapi.json']) {
      const { headers } = await api.get(url);
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'content-security-policy': expect.stringContaining("default-src 'none'"),
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'x-request-id': expect.any(String),
      });
      for (const name of [
        'server',
        'x-powered-by',
        'strict-transport-security',
        'access-control-allow-origin',
      ])
        expect(headers).not.toHaveProperty(name);
    }
  });

  it('a rate limited response contains Retry-After, and probes are never limited', async () => {
    await using api = await startTestServer({}, { requests: 3 });
    const statuses = [];
    for (let count = 0; count < 5; count += 1) statuses.push((await api.get('/api/v1/status')).status);
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    expect(await api.get('/nothing')).toMatchObject({ status: 429, headers: { 'retry-after': '60' } });
    expect(await api.call('GET', '/livez')).toMatchObject({ status: 200 });
    expect(
      await api.call('GET', '/api/v1/status', { token: TOKENS.viewer, from: '192.0.2.9' }),
    ).toMatchObject({
      status: 200,
    });
  });
});
