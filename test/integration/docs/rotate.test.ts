import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { markedBlock, openPageShell } from '../../docs/page-shell.ts';
import { openbao } from '../services/inject.ts';
import { installOpenBao } from '../services/openbao.ts';
import { startPostgres } from '../services/postgres.ts';
import { reportToStderr } from '../services/service.ts';
import { marksOf, shellProblems } from './page-blocks.ts';

const PAGE = 'docs/how-to/rotate-without-downtime.md';

/** The blocks that need running pods. */
const UNTESTED_BLOCKS = ['pods'];

describe('the page about rotation', () => {
  it('the page has only valid shell commands, and the tests run each of these commands', async () => {
    expect(await shellProblems(PAGE)).toEqual([]);
    expect(await marksOf(PAGE)).toEqual([
      ...['which', 'password', 'store', 'sync', 'connected', 'close', 'look'],
      ...UNTESTED_BLOCKS,
    ]);
  });

  it('the commands on the page alternate between two database users, and both users can log in during each rotation', async () => {
    await using server = await startPostgres({ borrow: false });
    const { address, token, request } = openbao();
    // Tests share the store, so this test uses a mount of its own instead of `secret/`.
    const mount = `rotate-${randomBytes(4).toString('hex')}`;
    await request('POST', `/v1/sys/mounts/${mount}`, { type: 'kv', options: { version: '2' } });
    const superuser = new URL(server.url);
    const env = {
      VAULT_ADDR: address,
      VAULT_TOKEN: token,
      PGHOST: superuser.hostname,
      PGPORT: superuser.port,
      PGUSER: superuser.username,
      PGPASSWORD: superuser.password,
      PGDATABASE: 'postgres',
    };
    await using shell = await openPageShell({ vault: await installOpenBao(reportToStderr) });
    await shell.write(
      'secretbridge.yaml',
      `apiVersion: secretbridge.dev/v1
instance: prod-eu
cluster: { kind: directory, path: ./cluster }
stores:
  - { name: team-vault, kind: vault, address: '${address}', mount: ${mount}, auth: { method: token, token: { env: VAULT_TOKEN } } }
mappings:
  - name: payments-db
    target: { namespace: payments }
    data:
      DB_USER: { store: team-vault, key: payments/db, property: username }
      DB_PASSWORD: { store: team-vault, key: payments/db, property: password }
`,
    );
    const run = async (...marks: readonly string[]): Promise<string> => {
      const blocks = await Promise.all(marks.map((mark) => markedBlock(PAGE, mark)));
      const result = await shell.run(blocks.join('\n').replaceAll(' secret/', ` ${mount}/`), env);
      expect(result, marks.join()).toMatchObject({ code: 0 });
      return result.stdout;
    };
    const secret = async () => {
      const text = await readFile(join(shell.folder, 'cluster/payments/payments-db.yaml'), 'utf8');
      const { data } = parse(text) as { data: { DB_USER: string; DB_PASSWORD: string } };
      const decoded = (value: string) => Buffer.from(value, 'base64').toString();
      return { user: decoded(data.DB_USER), password: decoded(data.DB_PASSWORD) };
    };
    const canLogIn = async ({ user, password }: { user: string; password: string }): Promise<boolean> => {
      const client = new Client({
        host: env.PGHOST,
        port: Number(env.PGPORT),
        database: 'postgres',
        user,
        password,
      });
      try {
        await client.connect();
      } catch (error) {
        // 28P01 means a wrong password. 28000 means a role that is not allowed to log in.
        if (error instanceof Error && 'code' in error && /^28(P01|000)$/.test(String(error.code)))
          return false;
        throw error;
      }
      await client.end();
      return true;
    };

    await shell.run(
      `psql --quiet --command "CREATE ROLE payments_a LOGIN PASSWORD 'first'" --command 'CREATE ROLE payments_b'
vault kv put ${mount}/payments/db username=payments_a password=first
secretbridge sync`,
      env,
    );
    let before = await secret();
    expect(before).toEqual({ user: 'payments_a', password: 'first' });
    for (const user of ['payments_b', 'payments_a']) {
      expect(await run('which', 'password', 'store')).toContain(user);
      // The store already contains the new user, and the Secret still contains the old one.
      expect(await canLogIn(await secret())).toBe(true);
      await run('sync');
      const after = await secret();
      expect(after.user).toBe(user);
      expect(await canLogIn(after)).toBe(true);
      expect(await canLogIn(before)).toBe(true);
      const oldClient = new Client({
        ...before,
        host: env.PGHOST,
        port: Number(env.PGPORT),
        database: 'postgres',
      });
      await oldClient.connect();
      expect(await run('connected')).toBe(`${before.user}|1\n`);
      await oldClient.end();
      await expect.poll(() => run('connected')).toBe('');
      await run('close');
      expect(await canLogIn(before)).toBe(false);
      expect(await canLogIn(after)).toBe(true);
      before = after;
    }
    expect(await run('look')).toMatch(/ update +ok +payments\/payments-db .*~DB_PASSWORD/);
  });
});
