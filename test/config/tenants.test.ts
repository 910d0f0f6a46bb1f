import { describe, expect, it } from 'vitest';
import { openBench } from '../cli/harness.ts';
import { startVaultServer, type VaultServer } from '../fakes/vault-server.ts';

// Runs command lines with stores that count requests, which proves that denied keys are never requested.

const HEAD = `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
`;

function vaultStore(name: string, { address }: VaultServer): string {
  return `  - { name: ${name}, kind: vault, address: '${address}', auth: { method: token, token: { env: TOKEN_${name.toUpperCase()} } } }\n`;
}

function mapping(name: string, source: string, namespace = 'a'): string {
  return `  - { name: ${name}, target: { namespace: ${namespace} }, data: { KEY: { ${source} } } }\n`;
}

interface Outcome {
  readonly mapping: string;
  readonly outcome: string;
  readonly code?: string;
}

function outcomes({ json }: { readonly json: unknown }): readonly Outcome[] {
  const { targets } = json as { readonly targets: readonly Outcome[] };
  return targets.map(({ mapping: name, outcome, code }) => ({
    mapping: name,
    outcome,
    ...(code === undefined ? {} : { code }),
  }));
}

describe('a mapping without permission', () => {
  it('fails only the mapping without permission, and sends no request for its key to the store', async () => {
    await using vault = await startVaultServer();
    vault.put('secret', 'payments/db', '{"password":"one"}');
    vault.put('secret', 'other/root', '{"password":"two"}');
    await using bench = await openBench(
      `${HEAD}stores:\n${vaultStore('v', vault)}mappings:\n` +
        mapping('fine', 'store: v, key: payments/db, property: password') +
        mapping('denied', 'store: v, key: other/root, property: password') +
        "access: [ { namespaces: [a], stores: [v], keys: ['payments/**'] } ]\n",
    );
    const result = await bench.runWith({ env: { TOKEN_V: vault.rootToken } }, 'sync', '--output', 'json');
    expect(result.code).toBe(4);
    expect(outcomes(result)).toEqual([
      { mapping: 'denied', outcome: 'failed', code: 'NOT_ALLOWED' },
      { mapping: 'fine', outcome: 'created' },
    ]);
    expect(vault.requests.some((request) => request.includes('payments/db'))).toBe(true);
    expect(vault.requests.filter((request) => request.includes('other'))).toEqual([]);
  });

  it('sends no request to a store, not even a login, if no key in that store is allowed', async () => {
    await using vault = await startVaultServer();
    await using bench = await openBench(
      `${HEAD}stores:\n${vaultStore('v', vault)}mappings:\n${mapping('denied', 'store: v, key: a/b')}access: []\n`,
    );
    const result = await bench.runWith({ env: { TOKEN_V: vault.rootToken } }, 'sync', '--output', 'json');
    expect(result.code).toBe(4);
    expect(outcomes(result)).toEqual([{ mapping: 'denied', outcome: 'failed', code: 'NOT_ALLOWED' }]);
    expect(vault.requests).toEqual([]);
  });
});

describe('a tenant', () => {
  it('a tenant can read only keys within its bounds, and gets NOT_ALLOWED for other keys before any request', async () => {
    await using vault = await startVaultServer();
    vault.put('secret', 'a/db', '{"password":"ours"}');
    vault.put('secret', 'b/db', '{"password":"theirs"}');
    await using bench = await openBench(
      `${HEAD}stores:\n${vaultStore('v', vault)}include: [ { path: teams/a, namespaces: [a, 'a-*'], stores: [v], keys: ['a/**'] } ]\n`,
    );
    await bench.write(
      'teams/a/mappings.yaml',
      `mappings:\n${mapping('fine', 'store: v, key: a/db, property: password')}${mapping('key', 'store: v, key: b/db')}${mapping('namespace', 'store: v, key: a/db', 'b')}`,
    );
    const env = { TOKEN_V: vault.rootToken };
    const validate = await bench.runWith({ env }, 'validate');
    expect(validate.code).toBe(3);
    expect(validate.stdout).toContain('outside the bounds of the `include` at secretbridge.yaml');
    const result = await bench.runWith({ env }, 'sync', '--output', 'json');
    expect(result.code).toBe(4);
    expect(outcomes(result).toSorted((x, y) => x.mapping.localeCompare(y.mapping))).toEqual([
      { mapping: 'fine', outcome: 'created' },
      { mapping: 'key', outcome: 'failed', code: 'NOT_ALLOWED' },
      { mapping: 'namespace', outcome: 'failed', code: 'NOT_ALLOWED' },
    ]);
    expect(vault.requests.filter((request) => request.includes('b/db'))).toEqual([]);
  });
});

describe('the credential of a store', () => {
  it('sends the credential of a store only to the address of that store', async () => {
    await using one = await startVaultServer();
    await using two = await startVaultServer();
    // Each server accepts only its own token, and would reject the token of the other server.
    one.addToken('token-of-one');
    two.addToken('token-of-two');
    one.put('secret', 'k', '{"v":"1"}');
    two.put('secret', 'k', '{"v":"2"}');
    await using bench = await openBench(
      `${HEAD}stores:\n${vaultStore('one', one)}${vaultStore('two', two)}mappings:\n` +
        mapping('m1', 'store: one, key: k, property: v') +
        mapping('m2', 'store: two, key: k, property: v'),
    );
    const run = (env: Record<string, string>) => bench.runWith({ env }, 'sync', '--output', 'json');
    const right = await run({ TOKEN_ONE: 'token-of-one', TOKEN_TWO: 'token-of-two' });
    expect(outcomes(right).map(({ outcome }) => outcome)).toEqual(['created', 'created']);
    const swapped = await run({ TOKEN_ONE: 'token-of-two', TOKEN_TWO: 'token-of-one' });
    expect(swapped.code).toBe(4);
    expect(new Set(outcomes(swapped).map(({ outcome, code }) => `${outcome} ${code}`)).size).toBe(1);
    expect(outcomes(swapped)[0]?.code).toMatch(/^(AUTH_FAILED|ACCESS_DENIED)$/);
  });
});
