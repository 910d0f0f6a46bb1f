import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
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
import { vaultServer } from '../services/inject.ts';
import { startLdap } from '../services/ldap.ts';
import {
  call,
  createAppRole,
  createMount,
  openProvider,
  startServer,
  urlOf,
  type VaultAccess,
} from './vault-harness.ts';
import { enable, enableKubernetes, enableLdap, LOGIN_METHODS, startIssuer, TOKEN } from './vault-logins.ts';

async function prepare(server: VaultAccess = vaultServer()) {
  const mount = await createMount(server, 2);
  await call(server, 'POST', urlOf(mount, 2, 'a'), { data: { x: '1' } });
  return { server, mount, policy: `path "${mount}/data/*" { capabilities = ["read"] }` };
}

/** Reads the key `a`, and returns the result. */
async function readA(provider: Awaited<ReturnType<typeof openProvider>>): Promise<string | undefined> {
  return codeOf((await provider.read([{ key: 'a' }]))[0]);
}

const revokeAll = (server: VaultAccess, mountPath: string) =>
  call(server, 'PUT', `sys/leases/revoke-prefix/auth/${mountPath}`, {});

async function tokensOf(server: VaultAccess, mountPath: string): Promise<number> {
  const path = `/v1/sys/leases/lookup/auth/${mountPath}/login?list=true`;
  const list = async (at: string): Promise<number> => {
    const { body } = await server.request<{ data?: { keys: string[] } }>('GET', at);
    const counts = (body.data?.keys ?? []).map(async (key) =>
      key.endsWith('/') ? list(at.replace('?', `/${key.slice(0, -1)}?`)) : 1,
    );
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  };
  return list(path);
}

/** Opens a session that renews its token only when the test calls `renew`. */
async function openSession(config: object, env: Record<string, string>) {
  const parsed = VaultConfig.parse({ kind: 'vault', ...config });
  let offsetMs = 0;
  const clock = { now: () => Date.now() + offsetMs };
  const deps = testDeps({ env, clock });
  const client = createClient(parsed, deps);
  const callbacks: (() => void)[] = [];
  const session = createSession({
    client,
    login: createLogin(parsed, client, deps),
    proof: mountQuery(parsed),
    clock,
    wake(callback) {
      callbacks.push(callback);
      return () => undefined;
    },
  });
  return {
    session,
    /**
     * Advances the clock by 20 seconds. The token lifetime is 30 seconds. Resolves when the next renewal is scheduled.
     */
    async renew() {
      offsetMs += 20_000;
      callbacks.splice(0).at(-1)?.();
      await expect.poll(() => callbacks.length).toBe(1);
    },
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    },
  };
}

const { product } = vaultServer();
// OpenBao contains no LDAP login.
const methods = product === 'Vault' ? { ...LOGIN_METHODS, ldap: enableLdap } : LOGIN_METHODS;

describe.each(Object.entries(methods))(`the login by %s on ${product}`, (_, open) => {
  it('the session reads a key, logs in again after its token was revoked, and leaves no token behind', async () => {
    const { server, mount, policy } = await prepare();
    await using login = await open(server, policy);
    const { mountPath, env } = login;
    const auth = { ...login.auth, mountPath };
    const provider = await openProvider({ address: server.address, mount, auth }, env);
    expect(await readA(provider)).toBe('found');
    await revokeAll(server, mountPath);
    expect(await readA(provider)).toBe('found');
    expect((await provider.check()).filter(({ error }) => error !== undefined)).toEqual([]);
    expect(await tokensOf(server, mountPath)).toBe(1);
    await provider[Symbol.asyncDispose]();
    expect(await tokensOf(server, mountPath)).toBe(0);
  });

  it('the session renews its token', async () => {
    const { server, mount, policy } = await prepare();
    await using login = await open(server, policy);
    const auth = { ...login.auth, mountPath: login.mountPath };
    await using opened = await openSession({ address: server.address, mount, auth }, login.env);
    await opened.session.ensure(undefined);
    await opened.renew();
    await opened.renew();
    expect(await tokensOf(server, login.mountPath)).toBe(1);
  });

  it('the login fails with AUTH_FAILED for a wrong credential and for a missing mount, without quoting the credential', async () => {
    const { server, mount, policy } = await prepare();
    await using login = await open(server, policy);
    for (const mountPath of [login.mountPath, 'nowhere']) {
      const config = { address: server.address, mount, auth: { ...login.auth, mountPath } };
      await using provider = await openProvider(config, { ...login.wrongEnv });
      const results = await provider.read([{ key: 'a' }]);
      expect(results.map(codeOf)).toEqual(['AUTH_FAILED']);
      for (const secret of Object.values(login.wrongEnv)) expect(everythingIn(results)).not.toContain(secret);
    }
  });
});

describe(`a role without the policy \`default\` on ${product}`, () => {
  it('the session logs in again after a revocation, but not after a denied read', async () => {
    const { server, mount } = await prepare();
    await call(server, 'POST', urlOf(mount, 2, 'b'), { data: { x: '1' } });
    const policy = `path "${mount}/data/a" { capabilities = ["read"] }`;
    const role = await createAppRole(server, policy, { ...TOKEN, token_no_default_policy: true });
    const { mountPath, roleId } = role;
    const auth = { method: 'appRole', roleId, secretId: { env: 'SECRET_ID' }, mountPath };
    const env = { SECRET_ID: await role.newSecretId() };
    await using provider = await openProvider({ address: server.address, mount, auth }, env);
    expect(await readA(provider)).toBe('found');
    await revokeAll(server, mountPath);
    expect(await readA(provider)).toBe('found');
    for (let attempt = 0; attempt < 3; attempt += 1)
      expect((await provider.read([{ key: 'b' }])).map(codeOf)).toEqual(['ACCESS_DENIED']);
    expect(await tokensOf(server, mountPath)).toBe(1);
  });
});

describe('the login by ldap', () => {
  const checkThatItIsMissing = async () => {
    const { server } = await prepare();
    const answer = await server.request('POST', `/v1/sys/auth/ldap-${randomUUID()}`, { type: 'ldap' });
    // If this check fails, the tested OpenBao supports LDAP. Then add LDAP to `LOGIN_METHODS`.
    expect(answer).toMatchObject({
      status: 400,
      body: { errors: ['plugin not found in the catalog: ldap'] },
    });
  };

  const checkAnOutage = async () => {
    const { server, mount, policy } = await prepare();
    const ldap = await startLdap('ann', 'right');
    const { mountPath, token } = await enable(server, 'ldap', policy);
    await call(server, 'POST', `auth/${mountPath}/config`, { ...ldap.settings, ...token });
    const auth = { method: 'ldap', username: 'ann', password: { env: 'PASSWORD' }, mountPath };
    await ldap.stop();
    await using provider = await openProvider(
      { address: server.address, mount, auth },
      { PASSWORD: 'right' },
    );
    for (let attempt = 0; attempt < 3; attempt += 1) {
      expect(await provider.read([{ key: 'a' }])).toMatchObject([
        { error: { code: 'STORE_UNAVAILABLE', detail: 'it cannot reach the directory for logins' } },
      ]);
    }
    await using _again = await startLdap('ann', 'right', ldap.port);
    expect(await readA(provider)).toBe('found');
  };

  if (product === 'OpenBao')
    it('OpenBao has no LDAP method, so only Vault is tested with it', checkThatItIsMissing);
  else
    it(
      'the login fails with STORE_UNAVAILABLE while the directory is down, and works after its return',
      checkAnOutage,
    );
});

describe(`the login by jwt on ${product}`, () => {
  it('the login fails with STORE_UNAVAILABLE until the server can fetch the keys of the issuer', async () => {
    const { server, mount, policy } = await prepare();
    await using issuer = await startIssuer();
    const config = { address: server.address, mount };
    for (const source of [{ jwks_url: `${issuer.url}/keys` }, { oidc_discovery_url: issuer.url }]) {
      for (const failure of ['busy', 'cut'] as const) {
        const { mountPath, token } = await enable(server, 'jwt', policy);
        await call(server, 'POST', `auth/${mountPath}/config`, source);
        const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: ['bao'], ...token };
        await call(server, 'POST', `auth/${mountPath}/role/ci`, role);
        const auth = { method: 'jwt', role: 'ci', jwt: { env: 'JWT' }, mountPath };
        await using provider = await openProvider({ ...config, auth }, { JWT: issuer.jwt });
        issuer.answers = failure;
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

describe(`the login by kubernetes on ${product} and a real API server`, () => {
  it('logs in by TokenReview with the current token file, and fails with AUTH_FAILED for invalid tokens', async () => {
    const { server, mount, policy } = await prepare();
    const login = await enableKubernetes(server, policy);
    const folder = await mkdtemp(join(tmpdir(), 'secretbridge-token-'));
    const tokenFile = join(folder, 'token');
    const auth = { method: 'kubernetes', role: 'bridge', mountPath: login.mountPath, tokenFile };
    const config = { address: server.address, mount, auth };
    try {
      await writeFile(tokenFile, await login.tokenOf('bridge'));
      const provider = await openProvider(config, {});
      expect(await readA(provider)).toBe('found');
      await writeFile(tokenFile, await login.tokenOf('bridge'));
      await revokeAll(server, login.mountPath);
      expect(await readA(provider)).toBe('found');
      await provider[Symbol.asyncDispose]();
      expect(await tokensOf(server, login.mountPath)).toBe(0);

      await using session = await openSession(config, {});
      await session.session.ensure(undefined);
      await session.renew();

      for (const token of [await login.tokenOf('other'), 'no.to.ken', await tokenOfRemovedAccount()]) {
        await writeFile(tokenFile, token);
        await using refused = await openProvider(config, {});
        const results = await refused.read([{ key: 'a' }]);
        expect(results.map(codeOf)).toEqual(['AUTH_FAILED']);
        expect(everythingIn(results)).not.toContain(token);
      }
    } finally {
      await rm(folder, { recursive: true });
    }

    /** Returns a correctly signed token of a deleted ServiceAccount. The API server rejects this token. */
    async function tokenOfRemovedAccount(): Promise<string> {
      const token = await login.tokenOf('bridge');
      await login.remove('bridge');
      return token;
    }
  });
});

describe(`client certificates on ${product}`, () => {
  it('a session reads its client certificate again at each login, and fails if another authority issued the certificate', async () => {
    await using server = await startServer({ tls: true });
    const { address, caFile } = server;
    const { mount, policy } = await prepare(server);
    const authority = createAuthority('Clients');
    const { mountPath, token } = await enable(server, 'cert', policy);
    await call(server, 'POST', `auth/${mountPath}/certs/bridge`, { certificate: authority.ca, ...token });

    const folder = await mkdtemp(join(tmpdir(), 'secretbridge-cert-'));
    const [certFile, keyFile] = [join(folder, 'client.pem'), join(folder, 'client.key')];
    const writeCertificate = async ({ cert, key }: Issued) => {
      await writeFile(certFile, cert);
      await writeFile(keyFile, key);
    };
    const auth = { method: 'cert', certFile, keyFile, mountPath, role: 'bridge' };
    const config = { address, mount, auth, tls: { caFile } };
    try {
      await using unset = await openProvider(config, {});
      expect(await readA(unset)).toBe('CREDENTIAL_MISSING');

      await writeCertificate(authority.issue());
      const provider = await openProvider(config, {});
      expect(await readA(provider)).toBe('found');
      await using session = await openSession({ ...config, auth: { ...auth, role: undefined } }, {});
      await session.session.ensure(undefined);
      await session.renew();

      await writeCertificate(createAuthority('Strangers').issue());
      await revokeAll(server, mountPath);
      expect(await readA(provider)).toBe('AUTH_FAILED');
      await using untrusted = await openProvider(config, {});
      expect(await readA(untrusted)).toBe('AUTH_FAILED');
      await writeFile(keyFile, authority.issue().key);
      await using broken = await openProvider(config, {});
      expect(await readA(broken)).toBe('TLS_FAILED');

      await writeCertificate(authority.issue());
      await using again = await openProvider(config, {});
      expect(await readA(again)).toBe('found');
      await using other = await openProvider({ ...config, auth: { ...auth, role: 'other' } }, {});
      expect(await readA(other)).toBe('AUTH_FAILED');
      await provider[Symbol.asyncDispose]();
      await again[Symbol.asyncDispose]();
      await session[Symbol.asyncDispose]();
      expect(await tokensOf(server, mountPath)).toBe(0);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
