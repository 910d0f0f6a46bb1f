import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { startVaultServer } from '../fakes/vault-server.ts';
import { type Bench, DB, HEAD, openBench } from './harness.ts';

// A store without versions uses fingerprints of the values as versions. These versions must stay valid after the
// fingerprint key was replaced.

const NEWER = 'keys: { fingerprint: [ { file: ./new.key }, { file: ./state/fingerprint.key } ] }\n';

async function replaceKey(bench: Bench, config: string): Promise<void> {
  await bench.write('new.key', randomBytes(32).toString('base64'));
  await bench.write('secretbridge.yaml', `${NEWER}http: { listen: '127.0.0.1:1' }\n${config}`);
}

async function lastChange(bench: Bench): Promise<number> {
  const { json } = await bench.run('audit', 'list', '--mapping', 'db', '--output', 'json');
  const { records } = json as { records: readonly { phase?: string; sequence: number }[] };
  return records.find(({ phase }) => phase === 'outcome')?.sequence ?? 0;
}

async function versionOf(bench: Bench): Promise<string> {
  return /"version":"([^"]+)"/.exec(await bench.read('cluster/apps/db.yaml'))?.[1] ?? '';
}

describe('a rotation of the fingerprint key', () => {
  it('a version in the configuration stays valid after a rotation of the fingerprint key, and nothing is written', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    const named = (HEAD + DB).replace(
      'property: password',
      `property: password, version: '${await versionOf(bench)}'`,
    );
    expect(named).not.toBe(HEAD + DB);
    await bench.write('secretbridge.yaml', named);
    expect((await bench.run('sync')).code).toBe(0);
    const before = await bench.read('cluster/apps/db.yaml');

    await replaceKey(bench, named);
    expect(await bench.run('plan')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 unchanged'),
    });
    expect(await bench.run('sync')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 unchanged'),
    });
    expect(await bench.read('cluster/apps/db.yaml')).toBe(before);

    await bench.write('store/db.json', '{"user":"ann","password":"another"}');
    expect(await bench.run('plan')).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('VERSION_GONE'),
    });
  });

  it('after a rotation of the fingerprint key, a pinned target stays pinned, and records from before the rotation can be restored', async () => {
    await using bench = await openBench();
    await bench.run('sync');
    const first = String(await lastChange(bench));
    expect((await bench.run('rollback', 'db', '--to', first)).code).toBe(0);
    await replaceKey(bench, HEAD + DB);
    expect(await bench.run('sync')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 unchanged'),
    });
    expect((await bench.run('unpin', 'db')).code).toBe(0);
    expect(await bench.run('rollback', 'db', '--to', first)).toMatchObject({ code: 0 });
  });

  it("versions of Vault's key/value engine 1 stay valid after a rotation of the fingerprint key", async () => {
    await using vault = await startVaultServer();
    vault.mount('old', 1);
    vault.put('old', 'db', '{"password":"one"}');
    const config = (version: string) => `${HEAD.slice(0, HEAD.indexOf('stores:'))}stores:
  - { name: v, kind: vault, address: '${vault.address}', mount: old, kvVersion: 1, auth: { method: token, token: { env: T } } }
mappings:
  - { name: db, target: { namespace: apps }, data: { A: { store: v, key: db, property: password${version} } } }
`;
    await using bench = await openBench(config(''));
    const env = { T: vault.rootToken };
    expect(await bench.runWith({ env }, 'sync')).toMatchObject({ code: 0 });
    await replaceKey(bench, config(`, version: '${await versionOf(bench)}'`));
    expect(await bench.runWith({ env }, 'sync')).toMatchObject({ code: 0 });
    vault.put('old', 'db', '{"password":"two"}');
    expect(await bench.runWith({ env }, 'plan')).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('VERSION_GONE'),
    });
  });

  it('`sync` and `doctor` report that the file of an older key is missing', async () => {
    await using bench = await openBench(
      `keys: { fingerprint: [ { file: ./state/fingerprint.key }, { file: ./gone.key } ] }\n${HEAD}${DB}`,
    );
    for (const command of ['sync', 'doctor']) {
      const { code, stdout, stderr } = await bench.run(command);
      expect([code, stdout + stderr]).toEqual([
        4,
        expect.stringMatching(/CREDENTIAL_MISSING[\s\S]*gone\.key/),
      ]);
    }
  });
});
