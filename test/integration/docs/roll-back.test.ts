import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { markedBlock, openPageShell } from '../../docs/page-shell.ts';
import { openVault } from '../e2e/vault.ts';

const PAGE = 'docs/how-to/roll-back.md';

describe('the page about rollback', () => {
  it('the commands on the page find the record, roll back, show the pin, and unpin the target', async () => {
    const vault = await openVault();
    await using shell = await openPageShell();
    await shell.write(
      'secretbridge.yaml',
      `apiVersion: secretbridge.dev/v1
instance: prod-eu
cluster: { kind: directory, path: ./cluster }
stores:
  - name: team-vault
    kind: vault
    address: ${vault.address}
    mount: secret
    auth: { method: appRole, roleId: { env: ROLE_ID }, secretId: { env: SECRET_ID }, mountPath: ${vault.prefix} }
mappings:
  - name: payments-db
    target: { namespace: payments }
    data: { DB_PASSWORD: { store: team-vault, key: ${vault.prefix}/db, property: password } }
`,
    );
    const run = (script: string) => shell.run(script, vault.env);
    const password = async () => {
      const text = await readFile(join(shell.folder, 'cluster/payments/payments-db.yaml'), 'utf8');
      const [, value = ''] = /DB_PASSWORD: (\S+)/.exec(text) ?? [];
      return Buffer.from(value, 'base64').toString();
    };
    for (const text of ['first', 'second', 'bad']) {
      await vault.put('db', { password: text });
      expect(await run('secretbridge sync')).toMatchObject({ code: 0 });
    }
    const findRun = await run(await markedBlock(PAGE, 'find'));
    expect(findRun).toMatchObject({ code: 0, stderr: '' });
    const { stdout: json } = await run('secretbridge audit list --action update --output json');
    const { records } = JSON.parse(json) as { records: { phase?: string; sequence: number }[] };
    const outcomes = records.filter(({ phase }) => phase === 'outcome').map(({ sequence }) => sequence);
    const [, second] = outcomes;
    expect(findRun.stdout).toContain(String(second));

    // The command on the page contains the record number of an example, so replace the number.
    const rollbackBlock = (await markedBlock(PAGE, 'back')).replace(/--to \d+/, `--to ${second}`);
    expect(await run(rollbackBlock)).toMatchObject({ code: 0 });
    expect(await password()).toBe('second');
    const pinnedRun = await run(await markedBlock(PAGE, 'pinned'));
    expect(pinnedRun).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`pinned to record ${second}`),
    });
    expect(pinnedRun.stdout).toContain('rollback');

    await vault.put('db', { password: 'mended' });
    expect(await run('secretbridge sync')).toMatchObject({ code: 0 });
    expect(await password()).toBe('second');
    expect(await run(await markedBlock(PAGE, 'let-go'))).toMatchObject({ code: 0 });
    expect(await password()).toBe('mended');
  });
});
