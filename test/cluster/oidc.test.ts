import { afterEach, describe, expect, it, vi } from 'vitest';
import { createKubeClient } from '../../src/cluster/client.ts';
import { json, startApiServer } from './api-server.ts';

const get = { method: 'GET', path: '/version' } as const;
const ISSUER = 'https://idp.example';
const CLIENT = { 'client-id': 'bridge', 'idp-issuer-url': ISSUER };

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const idToken = (exp: number) =>
  `${part({ alg: 'RS256' })}.${part({ iss: ISSUER, aud: 'bridge', sub: 'ann', iat: 1_000, exp })}.c2ln`;

afterEach(() => void vi.unstubAllGlobals());

describe('an id token of OIDC', () => {
  it('that has ended is renewed once, and serves until it ends', async () => {
    const renewed = idToken(4_000_000_000);
    const asked: string[] = [];
    vi.stubGlobal('fetch', async (url: string | URL) => {
      const { pathname } = new URL(url);
      asked.push(pathname);
      return pathname.startsWith('/.well-known/')
        ? Response.json({ issuer: ISSUER, token_endpoint: `${ISSUER}/token` })
        : Response.json({ access_token: 'a', token_type: 'Bearer', expires_in: 3_600, id_token: renewed });
    });
    const config = { ...CLIENT, 'id-token': idToken(2_000), 'refresh-token': 'r' };
    await using server = await startApiServer({ 'auth-provider': { name: 'oidc', config } });
    server.answer(json(200, {}));
    let now = 0;
    const clock = { now: () => now };
    await using client = await createKubeClient({ kubeconfig: server.kubeconfig, env: {}, clock });
    for (let n = 0; n < 4; n++) {
      expect((await client.send(get)).status).toBe(200);
      now += 10_000;
    }
    expect(new Set(server.seen.map(({ headers }) => headers.authorization))).toEqual(
      new Set([`Bearer ${renewed}`]),
    );
    expect(asked.filter((path) => path === '/token')).toHaveLength(1);
  });

  it('is renewed before it ends, by the refresh token that came last where each is good for once', async () => {
    const start = Date.now();
    let now = start;
    let good = 'r0';
    vi.stubGlobal('fetch', async (url: string | URL, { body }: { body?: URLSearchParams | string } = {}) => {
      if (new URL(url).pathname.startsWith('/.well-known/'))
        return Response.json({ issuer: ISSUER, token_endpoint: `${ISSUER}/token` });
      if (new URLSearchParams(body).get('refresh_token') !== good)
        return Response.json({ error: 'invalid_grant' }, { status: 400 });
      good = `r${now}`;
      const id_token = idToken(Math.floor(now / 1_000) + 60);
      const tokens = { access_token: 'a', token_type: 'Bearer', expires_in: 60 };
      return Response.json({ ...tokens, id_token, refresh_token: good });
    });
    const config = { ...CLIENT, 'id-token': idToken(2_000), 'refresh-token': good };
    await using server = await startApiServer({ 'auth-provider': { name: 'oidc', config } });
    server.answer(({ headers }, response) => {
      const [, claims = ''] = headers.authorization?.split('.') ?? [];
      const { exp } = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8'));
      response.writeHead(exp * 1_000 > now ? 200 : 401).end('{}');
    });
    const clock = { now: () => now };
    await using client = await createKubeClient({ kubeconfig: server.kubeconfig, env: {}, clock });
    for (const at of [0, 30, 55, 62, 100, 110, 118]) {
      now = start + at * 1_000;
      expect((await client.send(get)).status, `after ${at} s`).toBe(200);
    }
  });
});
