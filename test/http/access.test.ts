import { describe, expect, it } from 'vitest';
import { ROLES } from '../../src/http/identity.ts';
import { type Method, openBench, TOKENS } from './harness.ts';

/** Every route, and the least role that may call it. */
const ROUTES = [
  ['GET', '/livez', undefined],
  ['GET', '/readyz', undefined],
  ['GET', '/metrics', undefined],
  ['GET', '/api/v1/status', 'viewer'],
  ['GET', '/api/v1/session', 'viewer'],
  ['GET', '/api/v1/mappings', 'viewer'],
  ['GET', '/api/v1/mappings/{name}', 'viewer'],
  ['GET', '/api/v1/held', 'viewer'],
  ['GET', '/api/v1/audit/records', 'viewer'],
  ['GET', '/api/v1/audit/records/{sequence}', 'viewer'],
  ['GET', '/api/v1/audit/verify', 'viewer'],
  ['GET', '/api/v1/audit/export', 'viewer'],
  ['POST', '/api/v1/audit/records/{sequence}/review', 'reviewer'],
  ['GET', '/api/openapi.json', 'viewer'],
  ['POST', '/api/v1/mappings/{name}/sync', 'operator'],
  ['POST', '/api/v1/held/{id}/release', 'operator'],
  ['POST', '/api/v1/mappings/{name}/rollback', 'operator'],
  ['POST', '/api/v1/mappings/{name}/unpin', 'operator'],
  ['GET', '/api/v1/prune', 'viewer'],
  ['POST', '/api/v1/prune', 'operator'],
] as const;

/** Those that take no token: the request proves itself. */
const SIGNED = [
  ['POST', '/events/webhook/{name}', 'webhook'],
  ['POST', '/events/azure/{name}', 'eventGrid'],
  ['OPTIONS', '/events/azure/{name}', 'eventGrid'],
] as const;

const filled = (url: string) =>
  url.replace('{name}', 'db').replace('{id}', '5f2c').replace('{sequence}', '1');
const GUARDED = ROUTES.flatMap(([method, url, role]) =>
  role === undefined ? [] : [[method, url, role] as const],
);

describe('the table above', () => {
  it('has every route there is, with the role that the description says', async () => {
    await using bench = await openBench();
    const { paths } = (await bench.get('/api/openapi.json')).json as {
      paths: Record<string, Record<string, { description?: string; security?: readonly object[] }>>;
    };
    const described = Object.entries(paths).flatMap(([url, methods]) =>
      Object.entries(methods).map(([method, { description, security }]) => {
        const role = /role (\w+)/.exec(description ?? '')?.[1];
        const proof = security?.flatMap(Object.keys);
        expect(proof?.includes('bearer') ?? false, url).toBe(role !== undefined);
        return [method.toUpperCase(), url, role ?? proof?.[0]];
      }),
    );
    const sorted = (rows: readonly (readonly unknown[])[]) => rows.map((row) => row.join(' ')).sort();
    expect(sorted(described)).toEqual(sorted([...ROUTES, ...SIGNED]));
  });
});

describe.each(GUARDED)('%s %s', (method, url, least) => {
  it('needs a token', async () => {
    await using bench = await openBench();
    for (const headers of [
      {},
      { authorization: '' },
      { authorization: 'Bearer' },
      { authorization: `Basic ${TOKENS.operator}` },
      { authorization: TOKENS.operator },
      { 'x-api-key': TOKENS.operator },
      { cookie: `token=${TOKENS.operator}` },
    ] as Record<string, string>[])
      expect(await bench.call(method, filled(url), { headers })).toMatchObject({
        status: 401,
        headers: { 'www-authenticate': 'Bearer realm="secretbridge"' },
        json: { code: 'UNAUTHENTICATED' },
      });
    expect((await bench.call(method, `${filled(url)}?access_token=${TOKENS.operator}`)).status).toBe(401);
    expect(bench.asked).toEqual([]);
  });

  it('takes no token but those that are known, whole', async () => {
    await using bench = await openBench();
    const near = [
      TOKENS.operator.slice(0, -1),
      `${TOKENS.operator}x`,
      TOKENS.operator.toUpperCase(),
      'undefined',
      'ü',
    ];
    for (const token of near)
      expect(await bench.call(method, filled(url), { token })).toMatchObject({
        status: 401,
        headers: { 'www-authenticate': 'Bearer realm="secretbridge", error="invalid_token"' },
      });
    expect(bench.asked).toEqual([]);
  });

  it(`needs the role ${least}`, async () => {
    await using bench = await openBench();
    for (const role of ROLES) {
      const { status, json } = await bench.call(method, filled(url), { token: TOKENS[role] });
      if (ROLES.indexOf(role) >= ROLES.indexOf(least)) expect([401, 403, 500]).not.toContain(status);
      else
        expect([status, json.code, json.message]).toEqual([403, 'FORBIDDEN', expect.stringContaining(least)]);
    }
  });

  it('asks the same of HEAD as of GET', async () => {
    await using bench = await openBench();
    const { status } = await bench.call('HEAD' satisfies Method, filled(url));
    // An export is on record: a HEAD would put one there that nobody got.
    const isRead = ROUTES.some(([verb, path]) => verb === 'GET' && path === url);
    const takesHead = isRead && url !== '/api/v1/audit/export';
    expect(status).toBe(takesHead ? 401 : 405);
  });
});

describe('metrics', () => {
  it('need a token when they are told to', async () => {
    await using bench = await openBench({ config: { metricsNeedToken: true } });
    expect((await bench.call('GET', '/metrics')).status).toBe(401);
    expect(await bench.get('/metrics')).toMatchObject({ status: 200, text: '# metrics\n' });
  });
});

describe('without any token configured', () => {
  it('nobody gets in, not with an empty one either', async () => {
    const nobody = { identify: async () => undefined };
    await using bench = await openBench({ auth: nobody });
    expect((await bench.get('/api/v1/status')).status).toBe(401);
    expect((await bench.call('GET', '/livez')).status).toBe(200);
  });
});

describe('the log', () => {
  it('has a line for each request, without its query, its address or its token', async () => {
    await using bench = await openBench();
    await bench.get('/api/v1/audit/records?mapping=marker-query');
    await bench.get('/marker-path?marker-query');
    await bench.call('GET', '/api/v1/status', { token: 'marker-token' });
    await bench.call('GET', '/api/v1/status', {
      headers: { 'user-agent': 'marker-agent', referer: 'marker' },
    });
    expect(JSON.stringify(bench.log)).not.toContain('marker');
    const answered = bench.log.filter(({ message }) => message === 'request answered');
    expect(
      answered.map(({ level, fields }) => [level, fields.method, fields.path, fields.status, fields.name]),
    ).toEqual([
      ['debug', 'GET', '/api/v1/audit/records', 200, 'the-viewer'],
      ['debug', 'GET', undefined, 404, undefined],
      ['debug', 'GET', '/api/v1/status', 401, undefined],
      ['debug', 'GET', '/api/v1/status', 401, undefined],
    ]);
    expect(bench.log.filter(({ message }) => message === 'request refused')).toHaveLength(2);
  });
});
