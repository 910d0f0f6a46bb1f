import { describe, expect, it } from 'vitest';
import { VaultConfig } from '../../../src/providers/vault/config.ts';
import { vault } from '../../../src/providers/vault/index.ts';
import { createReplicationIndex } from '../../../src/providers/vault/replication-index.ts';
import { codeOf } from '../../conformance/provider.ts';
import { testDeps } from '../../conformance/provider-deps.ts';
import { startVaultCluster } from '../../fakes/vault-cluster.ts';

async function open() {
  const cluster = await startVaultCluster();
  const auth = { method: 'token', token: { env: 'TOKEN' } };
  const config = VaultConfig.parse({ kind: 'vault', address: cluster.address, auth });
  const provider = await vault.create(config, testDeps({ env: { TOKEN: cluster.token } }));
  return {
    cluster,
    provider,
    async read(key: string) {
      const [result] = await provider.read([{ key }]);
      return result?.kind === 'found' ? `version ${result.version}` : result && codeOf(result);
    },
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

describe('a Vault cluster with a standby that serves reads', () => {
  it('never returns an older version after a newer one if a standby serves reads', async () => {
    await using store = await open();
    const { active, standby, index } = store.cluster;
    for (const node of [active, standby]) node.put('secret', 'a', '{"x":"1"}');
    expect(await store.read('a')).toBe('version 1');
    active.put('secret', 'a', '{"x":"2"}');
    index.active = 2;
    expect(await store.read('a')).toBe('version 2');
    store.cluster.node = 'standby';
    expect(await store.read('a')).toBe('version 2');
    expect(standby.requests).toEqual([]);
  });

  it('never reports a key as absent before it is replicated to the standby, and finds the key in searches', async () => {
    await using store = await open();
    const { active, index } = store.cluster;
    active.put('secret', 'b/new', '{"x":"1"}');
    index.active = 12;
    expect(await store.read('b/new')).toBe('version 1');
    store.cluster.node = 'standby';
    expect(await store.read('b/new')).toBe('version 1');
    expect(await store.provider.find({ path: 'b', tags: {} })).toEqual(['b/new']);
    store.cluster.isCutOff = true;
    expect(await store.read('b/new')).toBe('BAD_ANSWER');
    await expect(store.provider.find({ path: 'b', tags: {} })).rejects.toMatchObject({ code: 'BAD_ANSWER' });
  });

  it('reads from a standby that is up to date', async () => {
    await using store = await open();
    const { standby, index } = store.cluster;
    index.active = 5;
    await store.provider.find({ path: '', tags: {} });
    expect(await store.read('c')).toBe('absent');
    store.cluster.node = 'standby';
    index.standby = 6;
    standby.put('secret', 'c', '{"x":"1"}');
    expect(await store.read('c')).toBe('version 1');
  });
});

describe('the replication index that a request contains', () => {
  const header = (cluster: unknown, value: unknown) =>
    Buffer.from(JSON.stringify({ cluster, value })).toString('base64');
  const askedFor = (...headers: readonly string[]) => {
    const position = createReplicationIndex();
    for (const one of headers) position.record(one);
    return position.headers()['X-Vault-Index'];
  };

  it('sends the highest index of the cluster so far, in whatever order the responses arrive', () => {
    expect(askedFor()).toBeUndefined();
    expect(askedFor(header('a', '9'), header('a', '10'), header('a', '9'), '')).toBe(header('a', '10'));
    expect(askedFor(header('a', '18446744073709551615'), header('a', '18446744073709551614'))).toBe(
      header('a', '18446744073709551615'),
    );
    expect(askedFor(header('a', '10'), header('b', '1'))).toBe(header('b', '1'));
  });

  it.each([
    ['no number', header('a', '0/16B3748')],
    ['no text', header('a', 7)],
    ['no cluster', header(undefined, '7')],
    ['another form', Buffer.from('v1:cluster:1:2:mac').toString('base64')],
    ['no base64', 'a, b'],
    ['too long', 'A'.repeat(1_000)],
  ])('ignores an invalid index in a response: %s', (_, one) => {
    expect(askedFor(one)).toBeUndefined();
  });
});
