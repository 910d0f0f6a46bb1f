import { chmod, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc-issuer.ts';
import { type SignInServer, startSignInServer } from '../sign-in/harness.ts';
import { CLIENT_ID, CLIENT_SECRET } from '../sign-in/oidc-provider.ts';
import { type Bench, openBench } from './harness.ts';

let issuer: OidcIssuer;
let service: SignInServer;
let url: string;
let bench: Bench;

beforeAll(async () => {
  issuer = await startOidcIssuer(CLIENT_ID);
  issuer.claims = { groups: ['payments'], email: 'ann@example.com', email_verified: true };
  service = await startSignInServer(issuer.issuer);
  issuer.clock = service.time;
  url = await service.server.server.listen('127.0.0.1:0');
  bench = await openBench();
});

afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});

const run = (env: Readonly<Record<string, string>>, ...args: readonly string[]) =>
  bench.runWith({ env: { HOME: bench.folder, ...env }, clock: service.time }, ...args);
const logins = () => join(bench.folder, '.config/secretbridge/logins.json');
const stored = async () => JSON.parse(await readFile(logins(), 'utf8')) as object;

describe('a login at a service', () => {
  it('shows address and code, and stores the token in a file that only its owner can read', async () => {
    const { code, stdout, stderr } = await run({}, 'login', '--server', url);
    expect(stderr).toBe(`Open ${issuer.issuer}/activate in a browser, and confirm the code WDJB-MJHT.\n`);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `ann@example.com  reviewer  payments-*\n${url}\n` });
    expect((await stat(logins())).mode & 0o777).toBe(0o600);
    expect(await readFile(logins(), 'utf8')).not.toContain(CLIENT_SECRET);
    expect(await stored()).toMatchObject({ logins: { [url]: { name: 'ann@example.com' } } });
  });

  it('is used by the commands with `--server`, but SECRETBRIDGE_TOKEN wins', async () => {
    expect((await run({}, 'status', '--server', url, '--output', 'json')).json).toMatchObject({
      targets: [],
    });
    expect((await run({}, 'whoami', '--output', 'json')).json).toMatchObject({
      ...{ server: url, name: 'ann@example.com', role: 'reviewer', namespaces: ['payments-*'] },
    });
    const { code, stderr } = await run({ SECRETBRIDGE_TOKEN: 'other' }, 'whoami');
    expect(code).toBe(4);
    expect(stderr).toMatch(/UNAUTHENTICATED.*SECRETBRIDGE_TOKEN/);
  });

  it('is renewed once by commands that run together, and follows the groups of the provider', async () => {
    await service.time.advance(10 * 60_000);
    issuer.claims = { ...issuer.claims, groups: ['sre'] };
    const results = await Promise.all([1, 2, 3].map(() => run({}, 'whoami', '--output', 'json')));
    expect(results.map(({ json }) => json)).toEqual(
      results.map(() => expect.objectContaining({ role: 'operator' })),
    );
  });

  it('lasts while it is used, also if the provider is away for a moment', async () => {
    for (let minutes = 0; minutes < 60; minutes += 20) {
      await service.time.advance(20 * 60_000);
      expect(await run({}, 'whoami')).toMatchObject({ code: 0 });
    }
    await service.time.advance(20 * 60_000);
    issuer.faults = { answers: { '/token': { status: 503 } } };
    expect(await run({}, 'whoami')).toMatchObject({ code: 0 });
    issuer.faults = {};
    expect(await run({}, 'whoami')).toMatchObject({ code: 0 });
  });

  it('ends if it was not used for the time in `session.idle`, although the provider would renew it', async () => {
    await service.time.advance(31 * 60_000);
    const { code, stderr } = await run({}, 'whoami', '--server', url);
    expect({ code, stderr }).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/SESSION_ENDED.*it was not used for too long/s),
    });
    expect(await stored()).toEqual({ logins: {} });
    expect((await run({}, 'login', '--server', url)).code).toBe(0);
  });

  it('says what to do if the file can be read by others', async () => {
    await chmod(logins(), 0o644);
    const { code, stderr } = await run({}, 'whoami');
    expect({ code, stderr }).toMatchObject({
      code: 4,
      stderr: expect.stringContaining(`chmod 600 ${logins()}`),
    });
    await chmod(logins(), 0o600);
  });

  it('ends with `logout`, in the service and on this machine', async () => {
    const { logins: before } = (await stored()) as { logins: Record<string, { token: string }> };
    expect(await run({}, 'logout')).toMatchObject({
      code: 0,
      stdout: `Signed out ann@example.com at ${url}.\n`,
    });
    expect(await stored()).toEqual({ logins: {} });
    const { json } = await service.server.get('/api/v1/session', before[url]?.token);
    expect(json).toMatchObject({ code: 'SESSION_ENDED' });
    expect(await run({}, 'whoami')).toMatchObject({ code: 64 });
    const { code, stderr } = await run({}, 'status', '--server', url);
    expect({ code, stderr }).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('secretbridge login --server'),
    });
  });

  it('is refused to a person without a group', async () => {
    issuer.claims = { groups: [], preferred_username: 'eve' };
    const { code, stderr } = await run({}, 'login', '--server', url);
    expect({ code, stderr }).toMatchObject({ code: 4, stderr: expect.stringMatching(/ROLE_MISSING.*eve/s) });
    expect(await stored()).toEqual({ logins: {} });
  });
});
