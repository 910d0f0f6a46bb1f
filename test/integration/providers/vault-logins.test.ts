import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createClient } from '../../../src/providers/vault/client.ts';
import { VaultConfig } from '../../../src/providers/vault/config.ts';
import { createLogin } from '../../../src/providers/vault/login.ts';
import { mountQuery } from '../../../src/providers/vault/mount.ts';
import { createSession } from '../../../src/providers/vault/session.ts';
import { codeOf, everythingIn } from '../../conformance/provider.ts';
import { testDeps } from '../../conformance/provider-deps.ts';
import { createAuthority, type Issued } from '../../fakes/certificates.ts';
import { createRequest } from '../services/http.ts';
import { openbao } from '../services/inject.ts';
import { startOpenBao } from '../services/openbao.ts';
import { type Bao, call, createAppRole, createMount, openProvider, urlOf } from './vault-harness.ts';
import { enable, enableKubernetes, startIssuer, TOKEN, WAYS } from './vault-logins.ts';

async function prepare(bao: Bao = openbao()) {
  const mount = await createMount(bao, 2);
  await call(bao, 'POST', urlOf(mount, 2, 'a'), { data: { x: '1' } });
  return { bao, mount, policy: `path "${mount}/data/*" { capabilities = ["read"] }` };
}

/** What reading `a` comes to. */
async function readA(provider: Awaited<ReturnType<typeof openProvider>>): Promise<string | undefined> {
  return codeOf((await provider.read([{ key: 'a' }]))[0]);
}

const revokeAll = (bao: Bao, mountPath: string) =>
  call(bao, 'PUT', `sys/leases/revoke-prefix/auth/${mountPath}`, {});

async function tokensOf(bao: Bao, mountPath: string): Promise<number> {
  const path = `/v1/sys/leases/lookup/auth/${mountPath}/login?list=true`;
  const list = async (at: string): Promise<number> => {
    const { body } = await bao.request<{ data?: { keys: string[] } }>('GET', at);
    const counts = (body.data?.keys ?? []).map(async (key) =>
      key.endsWith('/') ? list(at.replace('?', `/${key.slice(0, -1)}?`)) : 1,
    );
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  };
  return list(path);
}

/** A session whose renewals come when the test says so, and not before. */
async function openSession(config: object, env: Record<string, string>) {
  const parsed = VaultConfig.parse({ kind: 'vault', ...config });
  let ahead = 0;
  const clock = { now: () => Date.now() + ahead };
  const deps = testDeps({ env, clock });
  const client = createClient(parsed, deps);
  const due: (() => void)[] = [];
  const session = createSession({
    client,
    login: createLogin(parsed, client, deps),
    proof: mountQuery(parsed),
    clock,
    wake(callback) {
      due.push(callback);
      return () => undefined;
    },
  });
  return {
    session,
    /** After 20 of its 30 seconds; resolves when the next renewal has been planned. */
    async renew() {
      ahead += 20_000;
      due.splice(0).at(-1)?.();
      await expect.poll(() => due.length).toBe(1);
    },
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    },
  };
}

describe.each(Object.entries(WAYS))('the login by %s on OpenBao', (_, open) => {
  it('reads, logs in again when its token has gone, and leaves none behind', async () => {
    const { bao, mount, policy } = await prepare();
    await using way = await open(bao, policy);
    const { mountPath, env } = way;
    const auth = { ...way.auth, mountPath };
    const provider = await openProvider({ address: bao.address, mount, auth }, env);
    expect(await readA(provider)).toBe('found');
    await revokeAll(bao, mountPath);
    expect(await readA(provider)).toBe('found');
    expect((await provider.check()).filter(({ error }) => error !== undefined)).toEqual([]);
    expect(await tokensOf(bao, mountPath)).toBe(1);
    await provider[Symbol.asyncDispose]();
    expect(await tokensOf(bao, mountPath)).toBe(0);
  });

  it('renews its token', async () => {
    const { bao, mount, policy } = await prepare();
    await using way = await open(bao, policy);
    const auth = { ...way.auth, mountPath: way.mountPath };
    await using it = await openSession({ address: bao.address, mount, auth }, way.env);
    await it.session.ensure(undefined);
    await it.renew();
    await it.renew();
    expect(await tokensOf(bao, way.mountPath)).toBe(1);
  });

  it('is AUTH_FAILED with a wrong credential and at a place without it, and quotes nothing', async () => {
    const { bao, mount, policy } = await prepare();
    await using way = await open(bao, policy);
    for (const mountPath of [way.mountPath, 'nowhere']) {
      const config = { address: bao.address, mount, auth: { ...way.auth, mountPath } };
      await using provider = await openProvider(config, { ...way.wrong });
      const results = await provider.read([{ key: 'a' }]);
      expect(results.map(codeOf)).toEqual(['AUTH_FAILED']);
      for (const secret of Object.values(way.wrong)) expect(everythingIn(results)).not.toContain(secret);
    }
  });
});

describe('a role without the policy `default` on OpenBao', () => {
  it('costs one login however often a key may not be read, and is told from a token that has gone', async () => {
    const { bao, mount } = await prepare();
    await call(bao, 'POST', urlOf(mount, 2, 'b'), { data: { x: '1' } });
    const policy = `path "${mount}/data/a" { capabilities = ["read"] }`;
    const role = await createAppRole(bao, policy, { ...TOKEN, token_no_default_policy: true });
    const { mountPath, roleId } = role;
    const auth = { method: 'appRole', roleId, secretId: { env: 'SECRET_ID' }, mountPath };
    const env = { SECRET_ID: await role.newSecretId() };
    await using provider = await openProvider({ address: bao.address, mount, auth }, env);
    expect(await readA(provider)).toBe('found');
    await revokeAll(bao, mountPath);
    expect(await readA(provider)).toBe('found');
    for (let look = 0; look < 3; look += 1)
      expect((await provider.read([{ key: 'b' }])).map(codeOf)).toEqual(['ACCESS_DENIED']);
    expect(await tokensOf(bao, mountPath)).toBe(1);
  });
});

describe('the login by ldap', () => {
  it('is tested on the fake server, because OpenBao has no such method built in', async () => {
    const { bao } = await prepare();
    const answer = await bao.request('POST', `/v1/sys/auth/ldap-${randomUUID()}`, { type: 'ldap' });
    // Once this fails, `WAYS` can have it.
    expect(answer).toMatchObject({
      status: 400,
      body: { errors: ['plugin not found in the catalog: ldap'] },
    });
  });
});

describe('the login by jwt on OpenBao', () => {
  it('is STORE_UNAVAILABLE while the keys of the issuer cannot be fetched, and works when they can', async () => {
    const { bao, mount, policy } = await prepare();
    await using issuer = await startIssuer();
    const config = { address: bao.address, mount };
    for (const source of [{ jwks_url: `${issuer.url}/keys` }, { oidc_discovery_url: issuer.url }]) {
      for (const away of ['busy', 'cut'] as const) {
        const { mountPath, token } = await enable(bao, 'jwt', policy);
        await call(bao, 'POST', `auth/${mountPath}/config`, source);
        const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: ['bao'], ...token };
        await call(bao, 'POST', `auth/${mountPath}/role/ci`, role);
        const auth = { method: 'jwt', role: 'ci', jwt: { env: 'JWT' }, mountPath };
        await using provider = await openProvider({ ...config, auth }, { JWT: issuer.jwt });
        issuer.answers = away;
        expect(await provider.read([{ key: 'a' }])).toMatchObject([
          {
            error: {
              code: 'STORE_UNAVAILABLE',
              detail: 'it cannot fetch the keys to verify tokens',
            },
          },
        ]);
        issuer.answers = 'well';
        expect(await readA(provider)).toBe('found');
        await using other = await openProvider(
          { ...config, auth },
          { JWT: `${issuer.jwt.slice(0, -8)}AAAAAAAA` },
        );
        expect(await readA(other)).toBe('AUTH_FAILED');
      }
    }
  });
});

describe('the login by kubernetes on OpenBao and a real API server', () => {
  it('is proved by TokenReview, again with the token of then, and refused for others', async () => {
    const { bao, mount, policy } = await prepare();
    const login = await enableKubernetes(bao, policy);
    const folder = await mkdtemp(join(tmpdir(), 'secretbridge-token-'));
    const tokenFile = join(folder, 'token');
    const auth = { method: 'kubernetes', role: 'bridge', mountPath: login.mountPath, tokenFile };
    const config = { address: bao.address, mount, auth };
    try {
      await writeFile(tokenFile, await login.tokenOf('bridge'));
      const provider = await openProvider(config, {});
      expect(await readA(provider)).toBe('found');
      await writeFile(tokenFile, await login.tokenOf('bridge'));
      await revokeAll(bao, login.mountPath);
      expect(await readA(provider)).toBe('found');
      await provider[Symbol.asyncDispose]();
      expect(await tokensOf(bao, login.mountPath)).toBe(0);

      await using session = await openSession(config, {});
      await session.session.ensure(undefined);
      await session.renew();

      for (const token of [await login.tokenOf('other'), 'no.to.ken', await gone()]) {
        await writeFile(tokenFile, token);
        await using refused = await openProvider(config, {});
        const results = await refused.read([{ key: 'a' }]);
        expect(results.map(codeOf)).toEqual(['AUTH_FAILED']);
        expect(everythingIn(results)).not.toContain(token);
      }
    } finally {
      await rm(folder, { recursive: true });
    }

    /** A token whose account was removed since: the signature is right, the API server says no. */
    async function gone(): Promise<string> {
      const token = await login.tokenOf('bridge');
      await login.remove('bridge');
      return token;
    }
  });
});

describe('client certificates on OpenBao', () => {
  it('log in by `cert`, are looked for anew at each login, and are refused when they are of others', async () => {
    await using server = await startOpenBao({ tls: true });
    const { address, caFile = '', rootToken } = server;
    const headers = { 'x-vault-token': rootToken };
    const request = createRequest({ address, ca: await readFile(caFile, 'utf8'), headers });
    const { bao, mount, policy } = await prepare({ address, token: rootToken, request });
    const authority = createAuthority('Clients');
    const { mountPath, token } = await enable(bao, 'cert', policy);
    await call(bao, 'POST', `auth/${mountPath}/certs/bridge`, { certificate: authority.ca, ...token });

    const folder = await mkdtemp(join(tmpdir(), 'secretbridge-cert-'));
    const [certFile, keyFile] = [join(folder, 'client.pem'), join(folder, 'client.key')];
    const use = async ({ cert, key }: Issued) => {
      await writeFile(certFile, cert);
      await writeFile(keyFile, key);
    };
    const auth = { method: 'cert', certFile, keyFile, mountPath, role: 'bridge' };
    const config = { address, mount, auth, tls: { caFile } };
    try {
      await using unset = await openProvider(config, {});
      expect(await readA(unset)).toBe('CREDENTIAL_MISSING');

      await use(authority.issue());
      const provider = await openProvider(config, {});
      expect(await readA(provider)).toBe('found');
      await using session = await openSession({ ...config, auth: { ...auth, role: undefined } }, {});
      await session.session.ensure(undefined);
      await session.renew();

      await use(createAuthority('Strangers').issue());
      await revokeAll(bao, mountPath);
      expect(await readA(provider)).toBe('AUTH_FAILED');
      await using stranger = await openProvider(config, {});
      expect(await readA(stranger)).toBe('AUTH_FAILED');
      await writeFile(keyFile, authority.issue().key);
      await using broken = await openProvider(config, {});
      expect(await readA(broken)).toBe('TLS_FAILED');

      await use(authority.issue());
      await using again = await openProvider(config, {});
      expect(await readA(again)).toBe('found');
      await using other = await openProvider({ ...config, auth: { ...auth, role: 'other' } }, {});
      expect(await readA(other)).toBe('AUTH_FAILED');
      await provider[Symbol.asyncDispose]();
      await again[Symbol.asyncDispose]();
      await session[Symbol.asyncDispose]();
      expect(await tokensOf(bao, mountPath)).toBe(0);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
