import { writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { createKubeClient } from '../../src/cluster/client.ts';
import { createAuthority } from '../fakes/certificates.ts';
import { closeServer, listen } from '../fakes/loopback.ts';
import { type ApiServer, json, kubeconfigText, startApiServer } from './api-server.ts';

const get = { method: 'GET', path: '/version' } as const;
const authority = createAuthority('issuers');
const issued = authority.issue({ names: ['127.0.0.1'] });
const data = (value: string) => Buffer.from(value).toString('base64');

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
/** @param exp The expiry in seconds since 1970. */
const idToken = (exp: number) => `${part({ alg: 'RS256' })}.${part({ sub: 'ann', exp })}.c2ln`;

interface Renewal {
  readonly form: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
}
type Renew = (renewal: Renewal) => { readonly status?: number; readonly [field: string]: unknown };

interface Issuer extends AsyncDisposable {
  readonly url: string;
  readonly renewals: readonly Renewal[];
  /** Returns the `config` entry of an `auth-provider`. */
  config(more?: object): object;
}

async function startIssuer(renew: Renew, discovered: object = {}): Promise<Issuer> {
  const renewals: Renewal[] = [];
  const server = createServer(issued, async (request, response) => {
    const body = await text(request);
    const answer = (status: number, value: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (request.url === '/realm/.well-known/openid-configuration')
      return answer(200, { issuer: url, token_endpoint: `${url}/token`, ...discovered });
    if (request.method !== 'POST' || request.url !== '/realm/token') return answer(404, {});
    const renewal = { form: Object.fromEntries(new URLSearchParams(body)), headers: request.headers };
    renewals.push(renewal);
    const { status = 200, ...value } = renew(renewal);
    return answer(status, value);
  });
  const url = `https://127.0.0.1:${await listen(server)}/realm`;
  return {
    url,
    renewals,
    config: (more = {}) => ({
      'client-id': 'bridge',
      'idp-issuer-url': url,
      'idp-certificate-authority-data': data(authority.ca),
      'id-token': idToken(2_000),
      'refresh-token': 'r0',
      ...more,
    }),
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

async function startWith(config: object): Promise<ApiServer> {
  const server = await startApiServer({ 'auth-provider': { name: 'oidc', config } });
  server.answer(json(200, {}));
  return server;
}

function withClock(start = 1_000_000_000_000) {
  const time = { now: start };
  return { time, clock: { now: () => time.now } };
}

const open = (server: ApiServer, clock: { now(): number }) =>
  createKubeClient({ kubeconfig: server.kubeconfig, env: {}, clock });
const tokensSeen = (server: ApiServer) => new Set(server.seen.map(({ headers }) => headers.authorization));

const RENEWED = idToken(4_000_000_000);

describe('an OIDC ID token', () => {
  it('renews an expired token once, and uses the renewed token until the renewed token expires', async () => {
    await using issuer = await startIssuer(() => ({ id_token: RENEWED }));
    await using server = await startWith(issuer.config());
    const { time, clock } = withClock();
    await using client = await open(server, clock);
    for (let n = 0; n < 4; n++) {
      expect((await client.send(get)).status).toBe(200);
      time.now += 10_000;
    }
    expect(tokensSeen(server)).toEqual(new Set([`Bearer ${RENEWED}`]));
    expect(issuer.renewals).toHaveLength(1);
    expect(issuer.renewals[0]?.form).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'r0',
      client_id: 'bridge',
    });
  });

  it('renews the token before it expires, with the latest single-use refresh token', async () => {
    const { time, clock } = withClock();
    const start = time.now;
    let good = 'r0';
    await using issuer = await startIssuer(({ form }) => {
      if (form.refresh_token !== good) return { status: 400, error: 'invalid_grant' };
      good = `r${time.now}`;
      return { id_token: idToken(Math.floor(time.now / 1_000) + 60), refresh_token: good };
    });
    await using server = await startWith(issuer.config());
    server.answer(({ headers }, response) => {
      const [, claims = ''] = headers.authorization?.split('.') ?? [];
      const { exp } = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8'));
      response.writeHead(exp * 1_000 > time.now ? 200 : 401).end('{}');
    });
    await using client = await open(server, clock);
    for (const at of [0, 30, 55, 62, 100, 110, 118]) {
      time.now = start + at * 1_000;
      expect((await client.send(get)).status, `after ${at} s`).toBe(200);
    }
  });

  it('after a 401, renews the token with the latest refresh token instead of the refresh token in the kubeconfig', async () => {
    let good = 'r0';
    let newest = '';
    const exp = 4_000_000_000;
    await using issuer = await startIssuer(({ form }) => {
      if (form.refresh_token !== good) return { status: 400, error: 'invalid_grant' };
      good = `${good}'`;
      newest = idToken(exp + good.length);
      return { id_token: newest, refresh_token: good };
    });
    await using server = await startWith(issuer.config());
    server.answer(({ headers }, response) => {
      response.writeHead(headers.authorization === `Bearer ${newest}` ? 200 : 401).end('{}');
    });
    const { time, clock } = withClock();
    await using client = await open(server, clock);
    expect((await client.send(get)).status).toBe(200);
    for (let n = 0; n < 3; n++) {
      newest = 'an unknown token';
      time.now += 20_000;
      expect((await client.send(get)).status).toBe(200);
    }
    expect(issuer.renewals.map(({ form }) => form.refresh_token)).toEqual(['r0', "r0'", "r0''", "r0'''"]);
  });

  it('lets one client at a time renew a token that several clients of the process share', async () => {
    let good = 'r0';
    await using issuer = await startIssuer(({ form }) => {
      if (form.refresh_token !== good) return { status: 400, error: 'invalid_grant' };
      good = `${good}'`;
      return { id_token: RENEWED, refresh_token: good };
    });
    await using server = await startWith(issuer.config());
    const { clock } = withClock();
    const ask = async () => {
      await using client = await open(server, clock);
      return (await client.send(get)).status;
    };
    expect(await Promise.all([ask(), ask()])).toEqual([200, 200]);
    // Opens another client later, as the service does if it restarts within the process.
    expect(await ask()).toBe(200);
  });

  it.each([
    ['in a header by default', {}],
    ['in a header, if the issuer supports both', ['client_secret_post', 'client_secret_basic']],
    ['in the form, if the issuer supports nothing else', ['client_secret_post']],
  ])('renews the token with the client secret %s', async (_, methods) => {
    const isForm = Array.isArray(methods) && methods.length === 1;
    await using issuer = await startIssuer(
      ({ form, headers }) => {
        const given = isForm ? form.client_secret : headers.authorization;
        const expected = isForm ? 'a b%' : `Basic ${data('bridge:a+b%25')}`;
        return given === expected ? { id_token: RENEWED } : { status: 401, error: 'invalid_client' };
      },
      Array.isArray(methods) ? { token_endpoint_auth_methods_supported: methods } : {},
    );
    await using server = await startWith(issuer.config({ 'client-secret': 'a b%' }));
    await using client = await open(server, withClock().clock);
    expect((await client.send(get)).status).toBe(200);
    expect(tokensSeen(server)).toEqual(new Set([`Bearer ${RENEWED}`]));
  });

  it('uses the configured CA file for the issuer', async () => {
    await using issuer = await startIssuer(() => ({ id_token: RENEWED }));
    await using server = await startWith({});
    const file = join(server.folder, 'idp.pem');
    await writeFile(file, authority.ca);
    const config = issuer.config({
      'idp-certificate-authority': file,
      'idp-certificate-authority-data': '',
    });
    const user = { 'auth-provider': { name: 'oidc', config } };
    await writeFile(server.kubeconfig, kubeconfigText({ server: server.address }, user));
    await using client = await open(server, withClock().clock);
    expect((await client.send(get)).status).toBe(200);
  });

  const LOGIN = { code: 'CLUSTER_FORBIDDEN', subject: 'kubeconfig user u' };
  const AWAY = { code: 'CLUSTER_UNAVAILABLE', subject: 'kubeconfig user u' };

  it.each([
    ['refuses', { status: 400, error: 's3cret' }, {}, LOGIN, 'refused to renew it'],
    ['fails', { status: 503 }, {}, AWAY, 'answered with status 503'],
    ['returns no id token', { access_token: 's3cret' }, {}, LOGIN, 'returned no id token'],
    ['is another server', {}, { 'idp-certificate-authority-data': '' }, AWAY, 'TLS: '],
    [
      'has an invalid CA',
      {},
      { 'idp-certificate-authority-data': data('text') },
      { ...LOGIN, code: 'CREDENTIAL_MISSING' },
      'holds no certificates',
    ],
    ['does not exist', {}, { 'idp-issuer-url': 'https://127.0.0.1:1' }, AWAY, 'no connection'],
    ['has no TLS', {}, { 'idp-issuer-url': 'http://idp.example' }, LOGIN, 'https'],
    ['is not configured', {}, { 'idp-issuer-url': '' }, LOGIN, 'needs `idp-issuer-url`'],
    ['returned no refresh token', {}, { 'refresh-token': '' }, LOGIN, '`refresh-token`'],
  ])('reports an error if the issuer of the token %s', async (_, renewed, more, expected, detail) => {
    await using issuer = await startIssuer(() => renewed);
    await using server = await startWith(issuer.config(more));
    await using client = await open(server, withClock().clock);
    const error: unknown = await client.send(get).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ ...expected, detail: expect.stringContaining(detail) as unknown });
    expect(String(error)).not.toContain('s3cret');
    expect(server.seen).toEqual([]);
  });

  it('never renews a token over a connection without TLS', async () => {
    await using issuer = await startIssuer(() => ({ id_token: RENEWED }), {
      token_endpoint: 'http://idp.example/token',
    });
    await using server = await startWith(issuer.config());
    await using client = await open(server, withClock().clock);
    const detail = expect.stringContaining('https') as unknown;
    await expect(client.send(get)).rejects.toMatchObject({ ...LOGIN, detail });
  });

  it.each([
    ['none', undefined],
    ['not a string', 1],
    ['not a URL', 's3cret'],
  ])('reports an error if the token endpoint of the issuer is %s', async (_, token_endpoint) => {
    await using issuer = await startIssuer(() => ({ id_token: RENEWED }), { token_endpoint });
    await using server = await startWith(issuer.config());
    await using client = await open(server, withClock().clock);
    const error: unknown = await client.send(get).catch((thrown: unknown) => thrown);
    const detail = expect.stringContaining('has no token endpoint') as unknown;
    expect(error).toMatchObject({ ...LOGIN, detail });
    expect(String(error)).not.toContain('s3cret');
  });
});
