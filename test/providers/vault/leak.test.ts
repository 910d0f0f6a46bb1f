import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { everythingIn, MARKER } from '../../conformance/provider.ts';
import { FAULTS } from '../../fakes/fault-proxy.ts';
import { startVaultServer } from '../../fakes/vault-server.ts';
import { leaksIn } from '../leaks.ts';
import { APP_ROLE, openVault } from './harness.ts';

describe('errors of Vault contain no secret', () => {
  it.each(FAULTS)('after "%s", during login and read', async (fault) => {
    for (const path of [/login/, /secret\/data|lookup-self/]) {
      await using store = await openVault({ config: APP_ROLE });
      store.server.put('secret', 'a', JSON.stringify({ a: MARKER }));
      store.server.deny(/secret\/data\/b/);
      store.proxy.set(fault, path);
      const results = await store.provider.read([{ key: 'a' }, { key: 'b' }, { key: 'none' }]);
      const checks = await store.provider.check();
      const text = everythingIn([...results, ...checks]);
      const secrets = [MARKER, store.server.appRole.secretId, ...store.server.tokens];
      expect(leaksIn(text, secrets)).toEqual([]);
    }
  });
});

const SCRIPT = `
  import { VaultConfig } from './src/providers/vault/config.ts';
  import { vault } from './src/providers/vault/index.ts';
  import { testDeps } from './test/conformance/provider-deps.ts';
  const config = VaultConfig.parse(JSON.parse(process.env.CONFIG));
  const provider = await vault.create(config, testDeps({ env: process.env }));
  const results = await provider.read([{ key: 'a' }, { key: 'none' }]);
  console.log(results.map(({ kind }) => kind).join());
`;

describe('a process with a Vault store', () => {
  it('prints nothing that it sends, even with DEBUG, and exits by itself during a login', async () => {
    await using server = await startVaultServer();
    server.put('secret', 'a', JSON.stringify({ a: MARKER }));
    const config = { kind: 'vault', address: server.address, ...APP_ROLE };
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module-typescript', '--eval', SCRIPT],
      {
        timeout: 15_000,
        env: {
          CONFIG: JSON.stringify(config),
          ROLE_ID: server.appRole.roleId,
          SECRET_ID: server.appRole.secretId,
          DEBUG: '*',
          VAULT_ADDR: 'http://127.0.0.1:1',
          VAULT_TOKEN: 'from-env',
          VAULT_SKIP_VERIFY: 'false',
        },
      },
    );
    expect(stdout).toBe('found,absent\n');
    expect(leaksIn(stderr, [MARKER, server.appRole.secretId, ...server.tokens])).toEqual([]);
    expect(stderr).not.toContain('node-vault');
  });
});
