import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { codeOf, everythingIn, reveal } from '../../conformance/provider.ts';
import { soon } from '../../soon.ts';
import { createRequest } from '../services/http.ts';
import { openbao } from '../services/inject.ts';
import { startOpenBao } from '../services/openbao.ts';
import { call, createAppRole, createMount, openProvider, urlOf } from './vault-harness.ts';

async function readOne(provider: Awaited<ReturnType<typeof openProvider>>, key: string, version?: string) {
  return (await provider.read([version === undefined ? { key } : { key, version }]))[0];
}

describe('absence in OpenBao', () => {
  it('is told apart from a mount of the other version, no mount, no namespace, and no permission', async () => {
    const bao = openbao();
    const { address } = bao;
    const TOKEN = { TOKEN: bao.token };
    const [kv1, kv2] = [await createMount(bao, 1), await createMount(bao, 2)];
    await call(bao, 'POST', `${kv1}/a`, { x: '1' });
    await call(bao, 'POST', `${kv2}/data/a`, { data: { x: '1' } });
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

  it('is told apart from deleted, destroyed, and a version that is gone', async () => {
    const bao = openbao();
    const mount = await createMount(bao, 2);
    await using provider = await openProvider({ address: bao.address, mount }, { TOKEN: bao.token });
    for (const x of ['1', '2', '3']) await call(bao, 'POST', urlOf(mount, 2, 'a'), { data: { x } });
    await call(bao, 'PUT', urlOf(mount, 2, 'a', 'destroy'), { versions: [1] });
    await call(bao, 'PUT', urlOf(mount, 2, 'a', 'delete'), { versions: [2] });
    expect(reveal(await readOne(provider, 'a'))).toBe('{"x":"3"}');
    expect(codeOf(await readOne(provider, 'a', '1'))).toBe('VERSION_GONE');
    expect(codeOf(await readOne(provider, 'a', '2'))).toBe('VERSION_GONE');
    expect(codeOf(await readOne(provider, 'a', '4'))).toBe('VERSION_GONE');
    expect(await provider.versions(['a'])).toEqual([{ kind: 'known', version: '3' }]);
    await call(bao, 'DELETE', urlOf(mount, 2, 'a'));
    expect(codeOf(await readOne(provider, 'a'))).toBe('SOURCE_DELETED');
    expect(await provider.versions(['a'])).toEqual([{ kind: 'unknown' }]);
    await call(bao, 'PUT', urlOf(mount, 2, 'a', 'destroy'), { versions: [3] });
    expect(codeOf(await readOne(provider, 'a'))).toBe('SOURCE_DELETED');
    await call(bao, 'DELETE', urlOf(mount, 2, 'a', 'metadata'));
    expect(codeOf(await readOne(provider, 'a'))).toBe('absent');
  });

  it('works in a namespace and in a mount with slashes', async () => {
    const bao = openbao();
    const namespace = `ns-${randomUUID()}`;
    await call(bao, 'POST', `sys/namespaces/${namespace}`, {});
    const inside = { 'x-vault-namespace': namespace };
    await call(bao, 'POST', 'sys/mounts/deep/er/kv', { type: 'kv-v2' }, inside);
    await call(bao, 'POST', 'deep/er/kv/data/a', { data: { x: '1' } }, inside);
    const config = { address: bao.address, namespace, mount: 'deep/er/kv' };
    await using provider = await openProvider(config, { TOKEN: bao.token });
    expect(reveal(await readOne(provider, 'a'))).toBe('{"x":"1"}');
    expect(codeOf(await readOne(provider, 'none'))).toBe('absent');
    expect((await provider.check()).filter(({ error }) => error !== undefined)).toEqual([]);
  });

  it('works in a mount of a namespace below, with the login of the one above', async () => {
    const bao = openbao();
    const [above, below] = [`ns-${randomUUID()}`, `ns-${randomUUID()}`];
    const inside = { 'x-vault-namespace': `${above}/${below}` };
    await call(bao, 'POST', `sys/namespaces/${above}`, {});
    await call(bao, 'POST', `sys/namespaces/${below}`, {}, { 'x-vault-namespace': above });
    await call(bao, 'POST', 'sys/mounts/kv', { type: 'kv-v2' }, inside);
    await soon(() => call(bao, 'POST', 'kv/data/a', { data: { x: '1' } }, inside));
    for (const config of [
      { namespace: above, mount: `${below}/kv` },
      { mount: `${above}/${below}/kv` },
      { namespace: `${above}/${below}`, mount: 'kv' },
    ]) {
      await using provider = await openProvider({ address: bao.address, ...config }, { TOKEN: bao.token });
      expect(reveal(await readOne(provider, 'a'))).toBe('{"x":"1"}');
      expect(codeOf(await readOne(provider, 'none'))).toBe('absent');
      expect((await provider.check()).filter(({ error }) => error !== undefined)).toEqual([]);
    }
    await using beside = await openProvider(
      { address: bao.address, namespace: above, mount: `${below}/kv/x` },
      { TOKEN: bao.token },
    );
    expect(codeOf(await readOne(beside, 'none'))).toBe('MOUNT_NOT_FOUND');
  });
});

describe('a login of the namespace above', () => {
  it.each(['of its own', 'of the root'])(
    '%s, reads, proves absence, and leaves no token behind',
    async (where) => {
      const bao = openbao();
      const [above, below] = [`ns-${randomUUID()}`, 'team'];
      await call(bao, 'POST', `sys/namespaces/${above}`, {});
      await call(bao, 'POST', `sys/namespaces/${below}`, {}, { 'x-vault-namespace': above });
      const inside = { 'x-vault-namespace': `${above}/${below}` };
      await call(bao, 'POST', 'sys/mounts/kv', { type: 'kv-v2' }, inside);
      await soon(() => call(bao, 'POST', 'kv/data/a', { data: { x: '1' } }, inside));
      const login = where === 'of the root' ? 'root' : above;
      const path = `${login === 'root' ? `${above}/` : ''}${below}/kv`;
      const policy = `path "${path}/data/*" { capabilities = ["read"] } path "${path}/metadata/*" { capabilities = ["list"] }`;
      const role = await createAppRole(bao, policy, { token_ttl: '1m' }, { 'x-vault-namespace': login });
      const before = await role.tokens();
      const auth = {
        method: 'appRole',
        roleId: role.roleId,
        secretId: { env: 'SECRET_ID' },
        mountPath: role.mountPath,
        namespace: login,
      };
      const config = { address: bao.address, namespace: `${above}/${below}`, mount: 'kv', auth };
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

describe('values in OpenBao', () => {
  it('of version 1 keep the text of their numbers', async () => {
    const bao = openbao();
    const mount = await createMount(bao, 1);
    const body = '{"z":123456789012345678901,"a":1.10,"e":1e5,"n":null,"o":{"b":[1.0]},"t":"<&>"}';
    await bao.request('POST', `/v1/${mount}/a`, body, { 'content-type': 'application/json' });
    await using provider = await openProvider(
      { address: bao.address, mount, kvVersion: 1 },
      { TOKEN: bao.token },
    );
    const value = reveal(await readOne(provider, 'a'));
    for (const part of ['"z":123456789012345678901', '"a":1.10', '"e":1e5', '"o":{"b":[1.0]}', '"t":"<&>"']) {
      expect(value).toContain(part);
    }
  });

  it('that are null are no object: neither absent nor deleted nor an answer that nobody knows', async () => {
    const bao = openbao();
    const mount = await createMount(bao, 2);
    await using provider = await openProvider({ address: bao.address, mount }, { TOKEN: bao.token });
    await call(bao, 'POST', urlOf(mount, 2, 'a'), { data: null });
    await call(bao, 'POST', urlOf(mount, 2, 'b'), { data: {} });
    expect(codeOf(await readOne(provider, 'a'))).toBe('NOT_AN_OBJECT');
    expect(codeOf(await readOne(provider, 'a', '1'))).toBe('NOT_AN_OBJECT');
    expect(reveal(await readOne(provider, 'b'))).toBe('{}');
  });

  it('are found by tags', async () => {
    const bao = openbao();
    const mount = await createMount(bao, 2);
    for (const [key, live] of [
      ['f/a', 'true'],
      ['f/b', 'false'],
      ['f/sub/c', 'true'],
    ] as const) {
      await call(bao, 'POST', urlOf(mount, 2, key), { data: { x: '1' } });
      await call(bao, 'POST', urlOf(mount, 2, key, 'metadata'), { custom_metadata: { live } });
    }
    await using provider = await openProvider({ address: bao.address, mount }, { TOKEN: bao.token });
    expect(await provider.find({ path: 'f', tags: { live: 'true' } })).toEqual(['f/a', 'f/sub/c']);
  });
});

describe('the login by AppRole', () => {
  async function open(options: { rules?: string; role?: object; wrapped?: boolean } = {}) {
    const bao = openbao();
    const mount = await createMount(bao, 2);
    await call(bao, 'POST', urlOf(mount, 2, 'app/a'), { data: { x: '1' } });
    await call(bao, 'POST', urlOf(mount, 2, 'other/a'), { data: { x: '1' } });
    const rules = options.rules ?? `path "${mount}/data/app/*" { capabilities = ["read"] }`;
    const role = await createAppRole(bao, rules, { ...options.role });
    const env = { SECRET_ID: await (options.wrapped ? role.newWrappedSecretId() : role.newSecretId()) };
    const auth = {
      method: 'appRole',
      roleId: role.roleId,
      secretId: { env: 'SECRET_ID' },
      secretIdWrapped: options.wrapped ?? false,
      mountPath: role.mountPath,
    };
    const provider = await openProvider({ address: bao.address, mount, auth }, env);
    return { bao, mount, role, env, provider, [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose]() };
  }

  it('reads what its policy allows, is denied the rest, and can prove an absence', async () => {
    await using it = await open();
    const keys = ['app/a', 'app/none', 'other/a', 'other/none'];
    const results = await it.provider.read(keys.map((key) => ({ key })));
    expect(results.map(codeOf)).toEqual(['found', 'absent', 'ACCESS_DENIED', 'ACCESS_DENIED']);
    await expect(it.provider.find({ path: 'app', tags: {} })).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
    });
    expect((await it.provider.check()).filter(({ error }) => error !== undefined)).toEqual([]);
  });

  it('outlives the revocation of its token', async () => {
    await using it = await open();
    await readOne(it.provider, 'app/a');
    await call(it.bao, 'PUT', `sys/leases/revoke-prefix/auth/${it.role.mountPath}`, {});
    const results = await it.provider.read(Array.from({ length: 20 }, () => ({ key: 'app/a' })));
    expect(new Set(results.map(codeOf))).toEqual(new Set(['found']));
  });

  it('with a wrong secret id is AUTH_FAILED, and so is one at a place without AppRole', async () => {
    await using it = await open();
    it.env.SECRET_ID = randomUUID();
    expect(codeOf(await readOne(it.provider, 'app/a'))).toBe('AUTH_FAILED');
    const auth = { method: 'appRole', roleId: 'x', secretId: { env: 'S' }, mountPath: 'nowhere' };
    await using elsewhere = await openProvider(
      { address: it.bao.address, mount: it.mount, auth },
      { S: 'x' },
    );
    expect(codeOf(await readOne(elsewhere, 'app/a'))).toBe('AUTH_FAILED');
  });

  it('that asks for a second factor is AUTH_FAILED, and says so', async () => {
    const bao = openbao();
    const { mountPath, roleId, newSecretId } = await createAppRole(
      bao,
      'path "none" { capabilities = ["read"] }',
    );
    const mounts = await call<Record<string, { accessor: string }>>(bao, 'GET', 'sys/auth');
    const { method_id: method } = await call<{ method_id: string }>(bao, 'POST', 'identity/mfa/method/totp', {
      issuer: 'test',
    });
    await call(bao, 'POST', `identity/mfa/login-enforcement/${randomUUID()}`, {
      mfa_method_ids: [method],
      auth_method_accessors: [mounts[`${mountPath}/`]?.accessor],
    });
    const auth = { method: 'appRole', roleId, secretId: { env: 'SECRET_ID' }, mountPath };
    const env = { SECRET_ID: await newSecretId() };
    await using provider = await openProvider({ address: bao.address, auth }, env);
    expect(await readOne(provider, 'a')).toMatchObject({
      error: { code: 'AUTH_FAILED', detail: expect.stringContaining('second factor') },
    });
  });

  it('unwraps a wrapped secret id once, and uses it again for the next login', async () => {
    await using it = await open({ wrapped: true });
    expect(codeOf(await readOne(it.provider, 'app/a'))).toBe('found');
    await call(it.bao, 'PUT', `sys/leases/revoke-prefix/auth/${it.role.mountPath}`, {});
    expect(codeOf(await readOne(it.provider, 'app/a'))).toBe('found');
  });

  it('reports a wrapped secret id that somebody else has unwrapped as AUTH_FAILED', async () => {
    await using it = await open({ wrapped: true });
    await it.bao.request('POST', '/v1/sys/wrapping/unwrap', { token: it.env.SECRET_ID });
    expect(codeOf(await readOne(it.provider, 'app/a'))).toBe('AUTH_FAILED');
  });

  it('works with batch tokens and with tokens for one use only', async () => {
    await using batch = await open({ role: { token_type: 'batch', token_ttl: '60s' } });
    expect(codeOf(await readOne(batch.provider, 'app/a'))).toBe('found');
    await using once = await open({ role: { token_num_uses: 1 } });
    for (let round = 0; round < 3; round += 1)
      expect(codeOf(await readOne(once.provider, 'app/a'))).toBe('found');
  });

  it.each([1, 2, 5])(
    'reads any number of keys at once with tokens for %i requests, and leaves none behind',
    async (uses) => {
      await using it = await open({ role: { token_num_uses: uses } });
      const before = await it.role.tokens();
      const keys = [...Array(20).fill('app/a'), 'app/none', 'other/a', 'app/a'];
      const results = await it.provider.read(keys.map((key: string) => ({ key })));
      expect(results.map(codeOf)).toEqual([...Array(20).fill('found'), 'absent', 'ACCESS_DENIED', 'found']);
      await it.provider[Symbol.asyncDispose]();
      // What was used up is removed a moment later.
      await expect.poll(it.role.tokens).toBe(before);
    },
  );

  it('leaves no token behind', async () => {
    const it = await open();
    const before = await it.role.tokens();
    await readOne(it.provider, 'app/a');
    expect(await it.role.tokens()).toBe(before + 1);
    await it.provider[Symbol.asyncDispose]();
    expect(await it.role.tokens()).toBe(before);
  });
});

describe('a server with TLS', () => {
  it('is trusted by its authority, and a seal is an outage', async () => {
    await using server = await startOpenBao({ tls: true });
    const { address, caFile = '', rootToken } = server;
    const request = createRequest({
      address,
      ca: await readFile(caFile, 'utf8'),
      headers: { 'x-vault-token': rootToken },
    });
    const bao = { address, token: rootToken, request };
    await call(bao, 'POST', 'secret/data/a', { data: { x: '1' } });

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

    await call(bao, 'PUT', 'sys/seal', {});
    for (const key of ['a', 'none']) {
      expect(await readOne(provider, key)).toMatchObject({
        error: { code: 'STORE_UNAVAILABLE', detail: 'it is sealed' },
      });
    }
    expect((await provider.check()).map(({ error }) => error?.detail)).toEqual(['it is sealed']);
  });
});
