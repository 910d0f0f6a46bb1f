import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { openBench } from './harness.ts';

it('`audit migrate` copies the log, and the next run continues the chain in the copy', async () => {
  await using bench = await openBench();
  await bench.run('sync');
  const moved = await bench.run(
    ...['audit', 'migrate', '--from', 'state/audit.db', '--to', 'new/audit.db', '--output', 'json'],
  );
  expect(moved).toMatchObject({
    code: 0,
    json: { ok: true, resumed: false, head: { sequence: expect.any(Number) } },
  });
  expect(moved.stderr).toContain('Copying');
  const list = (path: string) => bench.run('audit', 'list', '--audit', path, '--output', 'json');
  expect((await list('new/audit.db')).stdout).toBe((await list('state/audit.db')).stdout);
  const verified = await bench.run('audit', 'verify', '--audit', 'new/audit.db', '--output', 'json');
  // The checkpoints are beside the old file.
  expect(verified).toMatchObject({ code: 2, json: { ok: true, covered: false } });
  const checkpoints = ['--checkpoints', 'state/checkpoints.jsonl', '--key', 'state/checkpoint.pub'];
  const covered = await bench.run('audit', 'verify', '--audit', 'new/audit.db', ...checkpoints);
  expect(covered.code).toBe(0);
});

it('`audit migrate` exits with 4 and reports the reason if it cannot copy the log', async () => {
  await using bench = await openBench();
  await bench.run('sync');
  const migrate = (...args: readonly string[]) => bench.run('audit', 'migrate', ...args, '--output', 'json');
  const from = ['--from', 'state/audit.db', '--to', 'new.db'];
  {
    const options = { instance: 'prod', replica: 'running', clock: bench.clock };
    await using _running = await openSqliteAudit({ path: join(bench.folder, 'state/audit.db'), ...options });
    const refused = await migrate(...from);
    expect(refused).toMatchObject({ code: 4, json: { ok: false } });
    expect(refused.stderr).toContain('a process writes to');
  }
  expect((await migrate(...from)).code).toBe(0);
  const again = await migrate(...from);
  expect(again.code).toBe(4);
  expect(again.stderr).toContain('is not empty');
  expect((await migrate('--from', 'new.db', '--to', './new.db')).code).toBe(64);
  expect((await migrate('--from', 'new.db')).code).toBe(64);
});

it.each([
  [
    'edited',
    `update records set record = replace(record, '"sync"', '"plan"') where sequence = 2`,
    'at record 2',
  ],
  ['deleted', 'delete from records where sequence = 2', 'at record 2'],
  ['cut off', 'delete from records where sequence > 3', 'truncated at record 4'],
])(
  '`audit migrate` rejects a log with a record that was %s, and reports the number of that record',
  async (_, tampering, where) => {
    await using bench = await openBench();
    await bench.run('sync');
    const database = new DatabaseSync(join(bench.folder, 'state/audit.db'));
    database.exec(tampering);
    database.close();
    const args = ['--from', 'state/audit.db', '--to', 'new.db'];
    const refused = await bench.run('audit', 'migrate', ...args, '--output', 'json');
    expect(refused).toMatchObject({
      code: 4,
      json: {
        ok: false,
        reason: expect.stringMatching(`^the chain of .*state/audit\\.db is broken \\(${where}\\)`),
      },
    });
  },
);
