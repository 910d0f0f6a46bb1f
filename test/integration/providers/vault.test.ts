import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { codeOf, everythingIn, reveal } from '../../conformance/provider.ts';
import { waitUntil } from '../../wait-until.ts';
import { vaultServer } from '../services/inject.ts';
import {
  call,
  createAppRole,
  createMount,
  openProvider,
  startServer,
  urlOf,
  whyNoNamespaces,
} from './vault-harness.ts';

async function readOne(provider: Awaited<ReturnType<typeof openProvider>>, key: string, version?: string) {
  return (await provider.read([version === undefined ? { key } : { key, version }]))[0];
}

describe(`absence in ${vaultServer().product}`, () => {
  it('distinguishes an absent key from a missing mount, a missing namespace, and a mount with another KV version than the configured one', async () => {
    const server = vaultServer();
    const { address } = server;
    const TOKEN = { TOKEN: server.token };
    const [kv1, kv2] = [await createMount(server, 1), await createMount(server, 2)];
    await call(server, 'POST', `${kv1}/a`, { x: '1' });
    await call(server, 'POST', `${kv2}/data/a`, { data: { x: '1' } });
    const cases = [
      [{ mount: kv1, kvVersion: 1 }, 'absent'],
      [{ mount: kv2 }, 'absent'],
      [{ mount: kv1 }, 'MOUNT_NOT_FOUND'],
      [{ mount: kv2, kvVersion: 1 }, 'MOUNT_NOT_FOUND'],
      [{ mount: 'nowhere' }, 'MOUNT_NOT_FOUND'],
      [{ mount: 'cubbyhole', kvVersion: 1 }, 'MOUNT_NOT_FOUND'],
      [{ mount: `${kv1}/below`, kvVersion: 1 }, 'MOUNT_NOT_FOUND'],
      [{ mount: 'sys' }, 'MOUNT_NOT_FOUND'],
      [{ mount: kv2, namespace: 'nowhere' }, 'MOUNT_NOT_FOUND'],
    ] as const;
    for (const [config, code] of cases) {
      await using provider = await openProvider({ address, ...config }, TOKEN);
      expect([config, codeOf(await readOne(provider, 'none'))]).toEqual([config, code]);
    }
  });

  it('distinguishes an absent key from a deleted or destroyed secret and from a missing version', async () => {
    const server = vaultServer();
    const mount = await createMount(server, 2);
    await using provider = await openProvider({ address: server.address, mount }, { TOKEN: server.token });
    for (const x of ['1', '2', '3']) await call(server, 'POST', urlOf(mount, 2, 'a'), { data: { x } });
    await call(server, 'PUT', urlOf(mount, 2, 'a', 'destroy'), { versions: [1] });
    await call(server, 'PUT', urlOf(mount, 2, 'a', 'delete'), { versions: [2] });
    expect(reveal(await readOne(provider, 'a'))).toBe('{"x":"3"}');
    expect(codeOf(await readOne(provider, 'a', '1'))).toBe('VERSION_GONE');
    expect(codeOf(await readOne(provider, 'a', '2'))).toBe('VERSION_GONE');
    expect(codeOf(await readOne(provider, 'a', '4'))).toBe('VERSION_GONE');
    expect(await provider.versions(['a'])).toEqual([{ kind: 'known', version: '3', expiresAt: null }]);
    await call(server, 'DELETE', urlOf(mount, 2, 'a'));
    expect(codeOf(await readOne(provider, 'a'))).toBe('SOURCE_DELETED');
    expect(await provider.versions(['a'])).toEqual([{ kind: 'unknown' }]);
    await call(server, 'PUT', urlOf(mount, 2, 'a', 'destroy'), { versions: [3] });
    expect(codeOf(await readOne(provider, 'a'))).toBe('SOURCE_DELETED');
    await call(server, 'DELETE', urlOf(mount, 2, 'a', 'metadata'));
    expect(codeOf(await readOne(provider, 'a'))).toBe('absent');
  });

  it('reports a missing key as absent if its mount is inside a namespace and the path of the mount contains slashes', async ({
    skip,
  }) => {
    const reason = whyNoNamespaces();
    if (reason !== undefined) return skip(reason);
    const server = vaultServer();
    const namespace = `ns-${randomUUID()}`;
    await call(server, 'POST', `sys/namespaces/${namespace}`, {});
    const inside = { 'x-vault-namespace': namespace };
    await call(server, 'POST', 'sys/mounts/deep/er/kv', { type: 'kv-v2' }, inside);
    await call(server, 'POST', 'deep/er/kv/data/a', { data: { x: '1' } }, inside);
    const config = { address: server.address, namespace, mount: 'deep/er/kv' };
    await using provider = await openProvider(config, { TOKEN: server.token });
    expect(reveal(await readOne(provider, 'a'))).toBe('{"x":"1"}');
    expect(codeOf(await readOne(provider, 'none'))).toBe('absent');
    expect((await provider.check()).filter(({ error }) => error !== undefined)).toEqual([]);
  });

  it('after a login in a parent namespace, reports a missing key in a mount of a child namespace as absent', async ({
    skip,
  }) => {
    const reason = whyNoNamespaces();
    if (reason !== undefined) return skip(reason);
    const server = vaultServer();
    const [parent, child] = [`ns-${randomUUID()}`, `ns-${randomUUID()}`];
    const inside = { 'x-vault-namespace': `${parent}/${child}` };
    await call(server, 'POST', `sys/namespaces/${parent}`, {});
    await call(server, 'POST', `sys/namespaces/${child}`, {}, { 'x-vault-namespace': parent });
    await call(server, 'POST', 'sys/mounts/kv', { type: 'kv-v2' }, inside);
    await waitUntil(() => call(server, 'POST', 'kv/data/a', { data: { x: '1' } }, inside));
    for (const config of [
      { namespace: parent, mount: `${child}/kv` },
      { mount: `${parent}/${child}/kv` },
      { namespace: `${parent}/${child}`, mount: 'kv' },
    ]) {
      await using provider = await openProvider(
        { address: server.address, ...config },
        { TOKEN: server.token },
      );
      expect(reveal(await readOne(provider, 'a'))).toBe('{"x":"1"}');
      expect(codeOf(await readOne(provider, 'none'))).toBe('absent');
      expect((await provider.check()).filter(({ error }) => error !== undefined)).toEqual([]);
    }
    await using missingMount = await openProvider(
      { address: server.address, namespace: parent, mount: `${child}/kv/x` },
      { TOKEN: server.token },
    );
    expect(codeOf(await readOne(missingMount, 'none'))).toBe('MOUNT_NOT_FOUND');
  });
});

describe('a login in a parent namespace', () => {
  it.for(['in the direct parent', 'in the root'])(
    'a login in a parent namespace reads keys, proves absence and leaves no token behind (%s)',
    async (where, { skip }) => {
      const reason = whyNoNamespaces();
      if (reason !== undefined) return skip(reason);
      const server = vaultServer();
      const [parent, child] = [`ns-${randomUUID()}`, 'team'];
      await call(server, 'POST', `sys/namespaces/${parent}`, {});
      await call(server, 'POST', `sys/namespaces/${child}`, {}, { 'x-vault-namespace': parent });
      const inside = { 'x-vault-namespace': `${parent}/${child}` };
      await call(server, 'POST', 'sys/mounts/kv', { type: 'kv-v2' }, inside);
      await waitUntil(() => call(server, 'POST', 'kv/data/a', { data: { x: '1' } }, inside));
      const login = where === 'in the root' ? 'root' : parent;
      const path = `${login === 'root' ? `${parent}/` : ''}${child}/kv`;
      const policy = `path "${path}/data/*" { capabilities = ["read"] } path "${path}/metadata/*" { capabilities = ["list"] }`;
      const role = await createAppRole(server, policy, { token_ttl: '1m' }, { 'x-vault-namespace': login });
      const before = await role.tokens();
      const auth = {
        method: 'appRole',
        roleId: role.roleId,
        secretId: { env: 'SECRET_ID' },
        mountPath: role.mountPath,
        namespace: login,
      };
      const config = { address: server.address, namespace: `${parent}/${child}`, mount: 'kv', auth };
      {
        await using provider = await openProvider(config, { SECRET_ID: await role.newSecretId() });
        expect(reveal(await readOne(provider, 'a'))).toBe('{"x":"1"}');
        expect(codeOf(await readOne(provider, 'none'))).toBe('absent');
        expect(await provider.find({ path: '', tags: {} })).toEqual(['a']);
        expect((await provider.check()).filter(({ error }) => error !== undefined)).toEqual([]);
        expect(await role.tokens()).toBe(before + 1);
      }
      expect(await role.tokens()).toBe(before);
    },
  );
});

describe(`values in ${vaultServer().product}`, () => {
  it('values of version 1 keep the spelling of their numbers', async () => {
    const server = vaultServer();
    const mount = await createMount(server, 1);
    const body = '{"z":123456789012345678901,"a":1.10,"e":1e5,"n":null,"o":{"b":[1.0]},"t":"<&>"}';
    await server.request('POST', `/v1/${mount}/a`, body, { 'content-type': 'application/json' });
    await using provider = await openProvider(
      { address: server.address, mount, kvVersion: 1 },
      { TOKEN: server.token },
    );
    const value = reveal(await readOne(provider, 'a'));
    for (const part of ['"z":123456789012345678901', '"a":1.10', '"e":1e5', '"o":{"b":[1.0]}', '"t":"<&>"']) {
      expect(value).toContain(part);
    }
  });

  it('a value that is null fails with NOT_AN_OBJECT', async () => {
    const server = vaultServer();
    const mount = await createMount(server, 2);
    await using provider = await openProvider({ address: server.address, mount }, { TOKEN: server.token });
    await call(server, 'POST', urlOf(mount, 2, 'a'), { data: null });
    await call(server, 'POST', urlOf(mount, 2, 'b'), { data: {} });
    expect(codeOf(await readOne(provider, 'a'))).toBe('NOT_AN_OBJECT');
    expect(codeOf(await readOne(provider, 'a', '1'))).toBe('NOT_AN_OBJECT');
    expect(reveal(await readOne(provider, 'b'))).toBe('{}');
  });

  it('the custom metadata of a value says when it expires', async () => {
    const server = vaultServer();
    const mount = await createMount(server, 2);
    for (const key of ['a', 'b']) await call(server, 'POST', urlOf(mount, 2, key), { data: { x: '1' } });
    const metadata = { custom_metadata: { 'expires-at': '2027-03-01' } };
    await call(server, 'POST', urlOf(mount, 2, 'a', 'metadata'), metadata);
    await using provider = await openProvider({ address: server.address, mount }, { TOKEN: server.token });
    const expiresAt = Date.UTC(2027, 2, 1);
    expect(await readOne(provider, 'a')).toMatchObject({ kind: 'found', expiresAt });
    expect(await readOne(provider, 'b')).toMatchObject({ kind: 'found', expiresAt: null });
    expect(await provider.versions(['a'])).toMatchObject([{ expiresAt }]);
  });

  it('a search finds values by tags', async () => {
    const server = vaultServer();
    const mount = await createMount(server, 2);
    for (const [key, live] of [
      ['f/a', 'true'],
      ['f/b', 'false'],
      ['f/sub/c', 'true'],
    ] as const) {
      await call(server, 'POST', urlOf(mount, 2, key), { data: { x: '1' } });
      await call(server, 'POST', urlOf(mount, 2, key, 'metadata'), { custom_metadata: { live } });
    }
    await using provider = await openProvider({ address: server.address, mount }, { TOKEN: server.token });
    expect(await provider.find({ path: 'f', tags: { live: 'true' } })).toEqual(['f/a', 'f/sub/c']);
  });
});

describe('the login by AppRole', () => {
  async function open(options: { rules?: string; role?: object; wrapped?: boolean } = {}) {
    const server = vaultServer();
    const mount = await createMount(server, 2);
    await call(server, 'POST', urlOf(mount, 2, 'app/a'), { data: { x: '1' } });
    await call(server, 'POST', urlOf(mount, 2, 'other/a'), { data: { x: '1' } });
    const rules = options.rules ?? `path "${mount}/data/app/*" { capabilities = ["read"] }`;
    const role = await createAppRole(server, rules, { ...options.role });
    const env = { SECRET_ID: await (options.wrapped ? role.newWrappedSecretId() : role.newSecretId()) };
    const auth = {
      method: 'appRole',
      roleId: role.roleId,
      secretId: { env: 'SECRET_ID' },
      secretIdWrapped: options.wrapped ?? false,
      mountPath: role.mountPath,
    };
    const provider = await openProvider({ address: server.address, mount, auth }, env);
    return {
      server,
      mount,
      role,
      env,
      provider,
      [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
    };
  }

  it('the session reads the keys that its policy allows, fails with ACCESS_DENIED for other keys, and proves absence', async () => {
    await using login = await open();
    const keys = ['app/a', 'app/none', 'other/a', 'other/none'];
    const results = await login.provider.read(keys.map((key) => ({ key })));
    expect(results.map(codeOf)).toEqual(['found', 'absent', 'ACCESS_DENIED', 'ACCESS_DENIED']);
    await expect(login.provider.find({ path: 'app', tags: {} })).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
    });
    expect((await login.provider.check()).filter(({ error }) => error !== undefined)).toEqual([]);
  });

  it('the session logs in again after its token was revoked', async () => {
    await using login = await open();
    await readOne(login.provider, 'app/a');
    await call(login.server, 'PUT', `sys/leases/revoke-prefix/auth/${login.role.mountPath}`, {});
    const results = await login.provider.read(Array.from({ length: 20 }, () => ({ key: 'app/a' })));
    expect(new Set(results.map(codeOf))).toEqual(new Set(['found']));
  });

  it('the login fails with AUTH_FAILED for a wrong secret id and at a mount without AppRole', async () => {
    await using login = await open();
    login.env.SECRET_ID = randomUUID();
    expect(codeOf(await readOne(login.provider, 'app/a'))).toBe('AUTH_FAILED');
    const auth = { method: 'appRole', roleId: 'x', secretId: { env: 'S' }, mountPath: 'nowhere' };
    await using elsewhere = await openProvider(
      { address: login.server.address, mount: login.mount, auth },
      { S: 'x' },
    );
    expect(codeOf(await readOne(elsewhere, 'app/a'))).toBe('AUTH_FAILED');
  });

  it('the login fails with AUTH_FAILED and an explanation when the server requires a second factor', async () => {
    const server = vaultServer();
    const { mountPath, roleId, newSecretId } = await createAppRole(
      server,
      'path "none" { capabilities = ["read"] }',
    );
    const mounts = await call<Record<string, { accessor: string }>>(server, 'GET', 'sys/auth');
    const { method_id: method } = await call<{ method_id: string }>(
      server,
      'POST',
      'identity/mfa/method/totp',
      {
        issuer: 'test',
      },
    );
    await call(server, 'POST', `identity/mfa/login-enforcement/${randomUUID()}`, {
      mfa_method_ids: [method],
      auth_method_accessors: [mounts[`${mountPath}/`]?.accessor],
    });
    const auth = { method: 'appRole', roleId, secretId: { env: 'SECRET_ID' }, mountPath };
    const env = { SECRET_ID: await newSecretId() };
    await using provider = await openProvider({ address: server.address, auth }, env);
    expect(await readOne(provider, 'a')).toMatchObject({
      error: { code: 'AUTH_FAILED', detail: expect.stringContaining('second factor') },
    });
  });

  it('unwraps a wrapped secret id once, and reuses the secret id for the next login', async () => {
    await using login = await open({ wrapped: true });
    expect(codeOf(await readOne(login.provider, 'app/a'))).toBe('found');
    await call(login.server, 'PUT', `sys/leases/revoke-prefix/auth/${login.role.mountPath}`, {});
    expect(codeOf(await readOne(login.provider, 'app/a'))).toBe('found');
  });

  it('the login fails with AUTH_FAILED when another client already unwrapped the secret id', async () => {
    await using login = await open({ wrapped: true });
    await login.server.request('POST', '/v1/sys/wrapping/unwrap', { token: login.env.SECRET_ID });
    expect(codeOf(await readOne(login.provider, 'app/a'))).toBe('AUTH_FAILED');
  });

  it('the login works with batch tokens and with single-use tokens', async () => {
    await using batch = await open({ role: { token_type: 'batch', token_ttl: '60s' } });
    expect(codeOf(await readOne(batch.provider, 'app/a'))).toBe('found');
    await using once = await open({ role: { token_num_uses: 1 } });
    for (let round = 0; round < 3; round += 1)
      expect(codeOf(await readOne(once.provider, 'app/a'))).toBe('found');
  });

  it.each([1, 2, 5])(
    'reads many keys in one call if each token allows %i requests, and leaves no token behind',
    async (uses) => {
      await using login = await open({ role: { token_num_uses: uses } });
      const before = await login.role.tokens();
      const keys = [...Array(20).fill('app/a'), 'app/none', 'other/a', 'app/a'];
      const results = await login.provider.read(keys.map((key: string) => ({ key })));
      expect(results.map(codeOf)).toEqual([...Array(20).fill('found'), 'absent', 'ACCESS_DENIED', 'found']);
      await login.provider[Symbol.asyncDispose]();
      // The server removes a used-up token after a short delay.
      await expect.poll(login.role.tokens).toBe(before);
    },
  );

  it('the closed session leaves no token behind', async () => {
    const login = await open();
    const before = await login.role.tokens();
    await readOne(login.provider, 'app/a');
    expect(await login.role.tokens()).toBe(before + 1);
    await login.provider[Symbol.asyncDispose]();
    expect(await login.role.tokens()).toBe(before);
  });
});

describe('a server with TLS', () => {
  it('trusts a server with TLS through its CA, and reports STORE_UNAVAILABLE while the server is sealed', async () => {
    await using server = await startServer({ tls: true });
    const { address, caFile, token: rootToken } = server;
    await call(server, 'POST', 'secret/data/a', { data: { x: '1' } });

    await using provider = await openProvider({ address, tls: { caFile } }, { TOKEN: rootToken });
    expect(reveal(await readOne(provider, 'a'))).toBe('{"x":"1"}');
    await using distrustful = await openProvider({ address }, { TOKEN: rootToken });
    const [untrusted] = await distrustful.read([{ key: 'a' }]);
    expect(codeOf(untrusted)).toBe('TLS_FAILED');
    expect(everythingIn([untrusted])).not.toContain(rootToken);
    await using plain = await openProvider(
      { address: address.replace('https', 'http') },
      { TOKEN: rootToken },
    );
    expect(codeOf(await readOne(plain, 'a'))).toBe('BAD_ANSWER');

    await call(server, 'PUT', 'sys/seal', {});
    for (const key of ['a', 'none']) {
      expect(await readOne(provider, key)).toMatchObject({
        error: { code: 'STORE_UNAVAILABLE', detail: 'it is sealed' },
      });
    }
    expect((await provider.check()).map(({ error }) => error?.detail)).toEqual(['it is sealed']);
  });
});
