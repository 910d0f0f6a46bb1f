import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { usageProblem } from '../../docs/commands.ts';
import { markedBlock, openPageShell } from '../../docs/page-shell.ts';
import { startServe, within } from '../service/served.ts';
import { freePort } from '../services/free-port.ts';
import { openbao } from '../services/inject.ts';
import { installOpenBao } from '../services/openbao.ts';
import { reportToStderr } from '../services/service.ts';
import { marksOf, shellProblems } from './page-blocks.ts';

const PAGE = 'docs/how-to/roll-back.md';

/** Whether the program has the command; then this test runs, and the page's commands are tried like all others. */
const isThere = await usageProblem({ args: ['rollback', 'a', '--to', '1'], mention: false, place: '' }, []);

describe('the page on rolling back', () => {
  it('has commands that a shell can read, and no others than those that are tried', async () => {
    expect(await shellProblems(PAGE)).toEqual([]);
    expect(await marksOf(PAGE)).toEqual(['find', 'rollback', 'unpin', 'pinned']);
  });

  it.skipIf(isThere !== undefined)(
    'goes back to the versions of a record, stays there, and lets go (once the program has `rollback`)',
    async () => {
      const { address, token, request } = openbao();
      const mount = `rollback-${randomBytes(4).toString('hex')}`;
      await request('POST', `/v1/sys/mounts/${mount}`, { type: 'kv', options: { version: '2' } });
      await using shell = await openPageShell({ vault: await installOpenBao(reportToStderr) });
      const listen = `127.0.0.1:${await freePort()}`;
      const ann = 'a-token-of-ann-that-is-long-enough';
      await shell.write('ann.token', ann);
      await shell.write(
        'secretbridge.yaml',
        `apiVersion: secretbridge.dev/v1
instance: prod-eu
cluster: { kind: directory, path: ./cluster }
http: { listen: '${listen}', tokens: [ { name: ann, role: operator, token: { file: ./ann.token } } ] }
stores:
  - { name: team-vault, kind: vault, address: '${address}', mount: ${mount}, auth: { method: token, token: { env: VAULT_TOKEN } } }
mappings:
  - name: payments-db
    target: { namespace: payments }
    data: { DB_PASSWORD: { store: team-vault, key: payments/db, property: password } }
`,
      );
      const env = { VAULT_ADDR: address, VAULT_TOKEN: token, SECRETBRIDGE_TOKEN: ann };
      const run = async (script: string): Promise<string> => {
        const ran = await shell.run(script, env);
        expect(ran, script).toMatchObject({ code: 0 });
        return ran.stdout;
      };
      const password = async () => {
        const text = await readFile(join(shell.folder, 'cluster/payments/payments-db.yaml'), 'utf8');
        const { data } = parse(text) as { data: { DB_PASSWORD: string } };
        return Buffer.from(data.DB_PASSWORD, 'base64').toString();
      };
      for (const value of ['works', 'broken'])
        await run(`vault kv put ${mount}/payments/db password=${value}\nsecretbridge sync`);
      expect(await password()).toBe('broken');
      const listed = JSON.parse(await run('secretbridge audit list --action create --output json')) as {
        records: readonly { sequence: number; phase?: string }[];
      };
      const good = listed.records.find(({ phase }) => phase === 'outcome')?.sequence;
      const page = async (mark: string) =>
        run((await markedBlock(PAGE, mark)).replaceAll(/(--to|audit show) 20\b/g, `$1 ${good}`));
      expect(await page('find')).toContain('version 1');
      await page('rollback');
      expect(await password()).toBe('works');
      await run('secretbridge sync');
      expect(await password()).toBe('works');
      {
        await using served = await startServe({
          cwd: shell.folder,
          env,
          address: `http://${listen}`,
          token: ann,
        });
        await within(20_000, async () => expect((await served.target('payments-db'))?.state).toBe('pinned'));
        expect(await page('pinned')).toMatch(/^payments\tpayments-db\n[\s\S]* rollback /);
        expect((await served.stop()).code).toBe(0);
      }
      await page('unpin');
      await run('secretbridge sync');
      expect(await password()).toBe('broken');
    },
  );
});
