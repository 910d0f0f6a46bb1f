import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { ROLES } from '../../src/core/words.ts';
import { type Method, startTestServer, TOKENS } from './harness.ts';

/** Every route with the lowest role that may call it. */
const ROUTES = [
  ['GET', '/livez', undefined],
  ['GET', '/readyz', undefined],
  ['GET', '/metrics', undefined],
  ['GET', '/auth/methods', undefined],
  ['GET', '/auth/login', undefined],
  ['GET', '/auth/callback', undefined],
  ['POST', '/auth/device', undefined],
  ['POST', '/auth/token', undefined],
  ['POST', '/auth/logout', undefined],
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
  ['GET', '/api/v1/approvals', 'viewer'],
  ['POST', '/api/v1/approvals/{id}/approve', 'viewer'],
  ['POST', '/api/v1/approvals/{id}/reject', 'viewer'],
  ['GET', '/api/v1/changes', 'viewer'],
  ['GET', '/api/v1/changes/{sequence}', 'viewer'],
  ['GET', '/api/v1/review', 'viewer'],
  ['POST', '/api/v1/review', 'reviewer'],
  ['POST', '/api/v1/held/release', 'operator'],
  ['GET', '/api/v1/timeline', 'viewer'],
  ['GET', '/api/v1/reach', 'viewer'],
  ['GET', '/api/v1/search', 'viewer'],
  ['GET', '/api/v1/series', 'viewer'],
  ['GET', '/api/v1/picture', 'viewer'],
  ['GET', '/api/v1/sources', 'viewer'],
  ['GET', '/api/v1/graph', 'viewer'],
  ['GET', '/api/v1/stream', 'viewer'],
  ['GET', '/api/v1/prune', 'viewer'],
  ['GET', '/api/v1/plan', 'viewer'],
  ['POST', '/api/v1/prune', 'operator'],
] as const;

/** Routes that need no token, because the request proves who sent it. */
const SIGNED_ROUTES = [
  ['POST', '/events/webhook/{name}', 'webhook'],
  ['POST', '/events/azure/{name}', 'eventGrid'],
  ['OPTIONS', '/events/azure/{name}', 'eventGrid'],
] as const;

/** The routes of the sign-in exist while the service starts. */
const neverOpen = () => {
  throw new AppError('STARTING');
};

const withParameters = (url: string) =>
  url.replace('{name}', 'db').replace('{id}', '5f2c').replace('{sequence}', '1');
const PROTECTED_ROUTES = ROUTES.flatMap(([method, url, role]) =>
  role === undefined ? [] : [[method, url, role] as const],
);

describe('the route table of these tests', () => {
  it('the route table of these tests lists every route with the role stated in the API description', async () => {
    await using api = await startTestServer({ signIn: neverOpen });
    const { paths } = (await api.get('/api/openapi.json')).json as {
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
    expect(sorted(described)).toEqual(sorted([...ROUTES, ...SIGNED_ROUTES]));
  });
});

describe.each(PROTECTED_ROUTES)('%s %s', (method, url, lowestRole) => {
  it('the route requires a token', async () => {
    await using api = await startTestServer();
    for (const headers of [
      {},
      { authorization: '' },
      { authorization: 'Bearer' },
      { authorization: `Basic ${TOKENS.operator}` },
      { authorization: TOKENS.operator },
      { 'x-api-key': TOKENS.operator },
      { cookie: `token=${TOKENS.operator}` },
    ] as Record<string, string>[])
      expect(await api.call(method, withParameters(url), { headers })).toMatchObject({
        status: 401,
        headers: { 'www-authenticate': 'Bearer realm="secretbridge"' },
        json: { code: 'UNAUTHENTICATED' },
      });
    expect((await api.call(method, `${withParameters(url)}?access_token=${TOKENS.operator}`)).status).toBe(
      401,
    );
    expect(api.calls).toEqual([]);
  });

  it('the route rejects unknown and incomplete tokens', async () => {
    await using api = await startTestServer();
    const almostRight = [
      TOKENS.operator.slice(0, -1),
      `${TOKENS.operator}x`,
      TOKENS.operator.toUpperCase(),
      'undefined',
      'ü',
    ];
    for (const token of almostRight)
      expect(await api.call(method, withParameters(url), { token })).toMatchObject({
        status: 401,
        headers: { 'www-authenticate': 'Bearer realm="secretbridge", error="invalid_token"' },
      });
    expect(api.calls).toEqual([]);
  });

  it(`the route requires the role ${lowestRole}`, async () => {
    await using api = await startTestServer();
    for (const role of ROLES) {
      const { status, json } = await api.call(method, withParameters(url), { token: TOKENS[role] });
      if (ROLES.indexOf(role) >= ROLES.indexOf(lowestRole)) expect([401, 403, 500]).not.toContain(status);
      else
        expect([status, json.code, json.message]).toEqual([
          403,
          'FORBIDDEN',
          expect.stringContaining(lowestRole),
        ]);
    }
  });

  it('the route requires the same token for HEAD as for GET', async () => {
    await using api = await startTestServer();
    const { status } = await api.call('HEAD' satisfies Method, withParameters(url));
    // Exports are audited, so a HEAD request would record an export that sent nothing.
    const isRead = ROUTES.some(([verb, path]) => verb === 'GET' && path === url);
    const takesHead = isRead && !['/api/v1/audit/export', '/api/v1/stream'].includes(url);
    expect(status).toBe(takesHead ? 401 : 405);
  });
});

describe('the metrics route', () => {
  it('the metrics route requires a token if the configuration says so', async () => {
    await using api = await startTestServer({ config: { metricsNeedToken: true } });
    expect((await api.call('GET', '/metrics')).status).toBe(401);
    expect(await api.get('/metrics')).toMatchObject({ status: 200, text: '# metrics\n' });
  });
});

describe('a server without tokens', () => {
  it('a server without tokens rejects every caller, including a caller with an empty token', async () => {
    const nobody = { identify: async () => undefined };
    await using api = await startTestServer({ auth: nobody });
    expect((await api.get('/api/v1/status')).status).toBe(401);
    expect((await api.call('GET', '/livez')).status).toBe(200);
  });
});

describe('the logger', () => {
  it('the access log has one line for each request, without the query, an unknown path or the token', async () => {
    await using api = await startTestServer();
    await api.get('/api/v1/audit/records?mapping=marker-query');
    await api.get('/marker-path?marker-query');
    await api.call('GET', '/api/v1/status', { token: 'marker-token' });
    await api.call('GET', '/api/v1/status', {
      headers: { 'user-agent': 'marker-agent', referer: 'marker' },
    });
    expect(JSON.stringify(api.log)).not.toContain('marker');
    const answered = api.log.filter(({ message }) => message === 'request answered');
    expect(
      answered.map(({ level, fields }) => [level, fields.method, fields.path, fields.status, fields.name]),
    ).toEqual([
      ['debug', 'GET', '/api/v1/audit/records', 200, 'the-viewer'],
      ['debug', 'GET', undefined, 404, undefined],
      ['debug', 'GET', '/api/v1/status', 401, undefined],
      ['debug', 'GET', '/api/v1/status', 401, undefined],
    ]);
    expect(api.log.filter(({ message }) => message === 'request refused')).toHaveLength(2);
  });
});
