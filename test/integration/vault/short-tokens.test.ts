import { describe, expect, it } from 'vitest';
import { codeOf } from '../../conformance/provider.ts';
import { startFaultProxy } from '../../fakes/fault-proxy.ts';
import { call, createAppRole, createMount, openProvider, urlOf } from '../providers/vault-harness.ts';
import { vaultServer } from '../services/inject.ts';

/** The reads in each batch. The next batch starts after the previous one. */
const BATCH = 30;
const LOAD_MS = 7_000;

describe.each([
  ['renewable for six seconds', { token_ttl: '2s', token_max_ttl: '6s' }],
  ['not renewable', { token_ttl: '2s', token_max_ttl: '2s' }],
  ['batch tokens', { token_type: 'batch', token_ttl: '2s' }],
])(`tokens of ${vaultServer().product} that live for two seconds, %s`, (_, role) => {
  it('every read under load succeeds, with few logins, and no token stays behind', async () => {
    const server = vaultServer();
    const mount = await createMount(server, 2);
    await call(server, 'POST', urlOf(mount, 2, 'a'), { data: { x: '1' } });
    const policy = `path "${mount}/data/*" { capabilities = ["read"] }`;
    const login = await createAppRole(server, policy, role);
    const { mountPath, roleId } = login;
    const auth = { method: 'appRole', roleId, secretId: { env: 'SECRET_ID' }, mountPath };
    const env = { SECRET_ID: await login.newSecretId() };
    await using proxy = await startFaultProxy(server.address);
    const results = new Map<string, number>();
    {
      await using provider = await openProvider({ address: proxy.address, mount, auth }, env);
      const end = performance.now() + LOAD_MS;
      while (performance.now() < end) {
        const keys = Array.from({ length: BATCH }, (_, index) => ({ key: index % 3 === 0 ? 'none' : 'a' }));
        for (const result of await provider.read(keys)) {
          const code = String(codeOf(result));
          results.set(code, (results.get(code) ?? 0) + 1);
        }
      }
    }
    expect([...results.keys()].sort()).toEqual(['absent', 'found']);
    expect(results.get('found')).toBeGreaterThan(200);
    const logins = proxy.requests.filter(({ path }) => path.endsWith('/login'));
    // The server counts whole seconds. So a token lives for 1.5 seconds on average, and the first one perhaps for one.
    expect(logins.length).toBeLessThanOrEqual(LOAD_MS / 1_500 + 2);
    await expect.poll(login.tokens, { timeout: 10_000 }).toBe(0);
  });
});
