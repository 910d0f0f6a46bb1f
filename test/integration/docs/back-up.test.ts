import { copyFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { describe, expect, it } from 'vitest';
import { openSqliteAudit } from '../../../src/audit/sqlite/sqlite.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { bare } from '../../audit/sample.ts';
import { markedBlock, openPageShell, type PageShell } from '../../docs/page-shell.ts';
import { recordKeysIn } from '../../fakes/record-keys.ts';
import { startPostgres } from '../services/postgres.ts';

const PAGE = 'docs/how-to/keep-the-audit.md';

const CONFIG = `apiVersion: secretbridge.dev/v1
instance: prod-eu
cluster: { kind: directory, path: ./cluster }
stores: [ { name: local, kind: files, path: ./secrets } ]
mappings:
  - name: payments-db
    target: { namespace: payments }
    data: { DB_PASSWORD: { store: local, key: password } }
`;

async function openInstallation(): Promise<PageShell> {
  const shell = await openPageShell();
  await shell.write('secretbridge.yaml', CONFIG);
  await shell.write('secrets/password', 'first');
  expect(await shell.run('secretbridge sync')).toMatchObject({ code: 0 });
  return shell;
}

const openAudit = async ({ folder }: PageShell, path = 'state/audit.db') =>
  openSqliteAudit({
    keys: await recordKeysIn(join(folder, 'state')),
    path: join(folder, path),
    instance: 'prod-eu',
    replica: 'a',
    clock: systemClock,
    readOnly: path !== 'state/audit.db',
  });

describe('the page about backups (SQLite)', () => {
  it('backs up an audit while the bridge writes, and verifies the backup', async () => {
    await using shell = await openInstallation();
    await using audit = await openAudit(shell);
    const [last] = await audit.append([bare()]);
    const { code, stdout } = await shell.run(await markedBlock(PAGE, 'back-up'));
    expect(code).toBe(0);
    expect(stdout).toContain(`The chain is intact: ${last?.sequence} records`);
    expect(stdout).toContain('1 signed checkpoint of 1 matches');
    // The database file alone lacks the newest records, which are still in the write-ahead log.
    await copyFile(join(shell.folder, 'state/audit.db'), join(shell.folder, 'copy.db'));
    await expect(
      (async () => {
        await using copy = await openAudit(shell, 'copy.db');
        return (await copy.head()).sequence === last?.sequence;
      })(),
    ).resolves.toBe(false);
  });

  it('restores a backup, accepts the detected loss of newer records, and verifies these records separately', async () => {
    await using shell = await openInstallation();
    expect(await shell.run(await markedBlock(PAGE, 'back-up'))).toMatchObject({ code: 0 });
    await shell.write('secrets/password', 'second');
    expect(await shell.run('secretbridge sync')).toMatchObject({ code: 0 });

    const [day] = await readdir(join(shell.folder, 'backup'));
    const restored = await shell.run(await markedBlock(PAGE, 'restore'), { to: `backup/${day}` });
    expect(restored).toMatchObject({ code: 4, stdout: expect.stringContaining('were cut off') });
    await shell.write('secrets/password', 'third');
    const refused = await shell.run('secretbridge sync');
    expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining('AUDIT_TRUNCATED') });
    const readManifest = () => readFile(join(shell.folder, 'cluster/payments/payments-db.yaml'), 'utf8');
    expect(await readManifest()).toContain(Buffer.from('second').toString('base64'));

    expect(await shell.run(await markedBlock(PAGE, 'accept'))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Accepted by'),
    });
    expect(await shell.run('secretbridge sync\nsecretbridge audit verify')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 checkpoint of missing records that a person has accepted.'),
    });
    expect(await readManifest()).toContain(Buffer.from('third').toString('base64'));
    expect(await shell.run(await markedBlock(PAGE, 'lost'))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('2 signed checkpoints of 2 match'),
    });
  });
});

const ON_POSTGRES = `audit:
  store: { kind: postgres, url: { env: DATABASE_URL } }
  checkpoints: [ { kind: file, path: ./checkpoints.jsonl } ]
keys: { fingerprint: [ { file: ./state/fingerprint.key } ], checkpoint: { file: ./checkpoint.key } }
`;

describe('the pages about backups and PostgreSQL', () => {
  it('the commands move an audit to PostgreSQL, back up the database, inspect the dump, and restore the database', async () => {
    await using server = await startPostgres({ borrow: false });
    const superuser = new URL(server.url);
    const url = new URL('/audit', server.url);
    [url.username, url.password] = ['bridge', 'PASSWORD'];
    const env = {
      DATABASE_URL: url.href,
      PGHOST: superuser.hostname,
      PGPORT: superuser.port,
      PGUSER: superuser.username,
      PGPASSWORD: superuser.password,
    };
    await using shell = await openInstallation();
    await setUp(server.url);

    const moved = await shell.run(await markedBlock('docs/how-to/keep-the-audit.md', 'move'), env);
    expect(moved).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/records? copied to .* and verified/),
    });
    await shell.run('cp state/checkpoints.jsonl state/checkpoint.key state/checkpoint.pub .');
    await shell.write('secretbridge.yaml', CONFIG + ON_POSTGRES);
    const verified = await shell.run('secretbridge sync\nsecretbridge audit verify', env);
    expect(verified).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('2 signed checkpoints of 2 match'),
    });

    const [backUpBlock, lookBlock] = ['back-up-postgres', 'look-postgres'].map((mark) =>
      markedBlock(PAGE, mark),
    );
    expect(await shell.run(`${await backUpBlock}\n${await lookBlock}`, env)).toMatchObject({ code: 0 });
    const restored = new URL('/restored', server.url).href;
    const [day] = await readdir(join(shell.folder, 'backup'));
    const options = `--checkpoints backup/${day}/checkpoints.jsonl --key backup/${day}/checkpoint.pub`;
    expect(
      await shell.run(`secretbridge audit verify --audit "$URL" ${options}`, { URL: restored }),
    ).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('2 signed checkpoints of 2 match'),
    });

    expect(await shell.run('secretbridge sync', env)).toMatchObject({ code: 0 });
    const restoreRun = await shell.run(await markedBlock(PAGE, 'restore-postgres'), {
      ...env,
      to: `backup/${day}`,
    });
    expect(restoreRun).toMatchObject({ code: 4, stdout: expect.stringContaining('were cut off') });
    expect(await shell.run(await markedBlock(PAGE, 'accept'), env)).toMatchObject({ code: 0 });
    expect(await shell.run('secretbridge sync\nsecretbridge audit verify', env)).toMatchObject({ code: 0 });
  });
});

async function setUp(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("create role bridge login password 'PASSWORD'");
    await client.query("create database audit owner bridge encoding 'UTF8' template template0");
  } finally {
    await client.end();
  }
}
