import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startVaultServer } from '../fakes/vault-server.ts';
import { type Bench, HEAD, openBench } from './harness.ts';

const FLAGS = `mappings:
  - name: flags
    target: { namespace: apps }
    dataFrom: [ { store: local, find: { path: flags } } ]
`;

async function explained(bench: Bench, env: Readonly<Record<string, string>> = {}) {
  const { json } = await bench.runWith({ env }, 'explain', 'flags', '--output', 'json');
  const { targets } = json as {
    readonly targets: readonly { readonly state: string; readonly sources: readonly object[] }[];
  };
  return { state: targets[0]?.state, sources: targets[0]?.sources };
}

const found = (key: string) => ({ store: 'local', key, state: 'found', version: expect.any(String) });

describe('explain with a search', () => {
  it('`explain` shows the keys that a search finds now, and the keys that the search found before but that no longer exist', async () => {
    await using bench = await openBench(HEAD + FLAGS);
    await bench.write('store/flags/a', '1');
    await bench.write('store/flags/b', '2');
    expect(await bench.run('sync')).toMatchObject({ code: 0 });
    const both = [found('flags/a'), found('flags/b')];
    expect(await explained(bench)).toEqual({ state: 'synced', sources: both });
    expect((await bench.run('explain', 'flags')).stdout).toMatch(
      /^ {2}found {3}local: flags\/a {2}version /m,
    );
    await rm(join(bench.folder, 'store/flags/b'));
    expect(await explained(bench)).toEqual({
      state: 'stale',
      sources: [found('flags/a'), { store: 'local', key: 'flags/b', state: 'absent', code: 'SOURCE_ABSENT' }],
    });
  });

  it('`explain` shows the path of a failed search, and the key that cannot be read', async () => {
    await using server = await startVaultServer();
    for (const key of ['flags/a', 'flags/b', 'flags/c']) server.put('secret', key, '{"x":"1"}');
    // The key is listed but was never written, so the target does not contain it.
    server.remove('secret', 'flags/c', 'delete');
    const store = `{ name: local, kind: vault, address: '${server.address}', auth: { method: token, token: { env: TOKEN } } }`;
    await using bench = await openBench(HEAD.replace(/stores.*\n/, `stores: [ ${store} ]\n`) + FLAGS);
    const env = { TOKEN: server.rootToken };
    expect(await bench.runWith({ env }, 'sync')).toMatchObject({ code: 0 });
    expect((await explained(bench, env)).sources).toEqual([found('flags/a'), found('flags/b')]);
    server.deny(/data\/flags\/b/);
    expect((await explained(bench, env)).sources).toEqual([
      found('flags/a'),
      { store: 'local', key: 'flags/b', state: 'failed', code: 'ACCESS_DENIED' },
    ]);
    server.deny(/metadata\/flags/);
    expect((await explained(bench, env)).sources).toEqual([
      { store: 'local', key: 'flags', state: 'failed', code: 'ACCESS_DENIED' },
    ]);
  });

  it('`explain` skips searches and keys that the access rules do not allow', async () => {
    const allowing = (keys: string) =>
      `access: [ { namespaces: [apps], stores: [local], keys: [${keys}] } ]\n`;
    await using bench = await openBench(`${HEAD}${allowing('flags/a')}${FLAGS}`);
    await bench.write('store/flags/a', '1');
    await bench.write('store/flags/%2e', '1');
    const refused = (key: string) => ({ store: 'local', key, state: 'failed', code: 'NOT_ALLOWED' });
    expect((await explained(bench)).sources).toEqual([refused('flags')]);
    await bench.write('secretbridge.yaml', `${HEAD}${allowing('flags/**')}${FLAGS}`);
    expect((await explained(bench)).sources).toEqual([
      refused('flags/%2e'),
      { store: 'local', key: 'flags/a', state: 'unread' },
    ]);
    expect((await bench.run('audit', 'list', '--key', 'flags/%2e')).stdout).toBe('No record matches.\n');
  });
});
