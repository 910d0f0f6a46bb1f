import { expect, it, vi } from 'vitest';
import { createReadPool } from '../../../src/audit/postgres/pool.ts';
import { postgres } from '../services/inject.ts';
import { connect, createDatabase, type Database } from './database.ts';

const QUERY = 'select is_named from things where is_named = $1';

async function createThings(database: Database): Promise<void> {
  await database.sql(`
    create schema secretbridge;
    create table secretbridge.things (is_named text) with (autovacuum_enabled = false);
    create index on secretbridge.things (is_named);
    insert into secretbridge.things select 'thing ' || n from generate_series(1, 60) n`);
  await database.sql('vacuum analyze secretbridge.things');
}

it('the plan of a prepared statement is replaced after the table of the statement has grown', async () => {
  await using database = await createDatabase(postgres());
  await createThings(database);
  await using session = await connect(database);
  // A sequential scan is the easiest plan to recognize. The setting of a session would prevent it.
  await session.query('set enable_seqscan = on');
  const runQuery = () => session.query(QUERY, ['thing 1'], 5_000, true);
  const plan = async () => JSON.stringify(await session.query(`explain execute "statement 0" ('thing 1')`));
  for (let n = 0; n < 10; n += 1) await runQuery();
  expect(await plan()).toContain('Seq Scan');
  await database.sql("insert into secretbridge.things select 'other ' || n from generate_series(1, 20000) n");
  const now = performance.now();
  using _clock = vi.spyOn(performance, 'now').mockImplementation(() => now + 60_000);
  expect(await runQuery()).toEqual([{ is_named: 'thing 1' }]);
  expect(await plan()).not.toContain('Seq Scan');
});

it('a prepared statement still works after the table of the statement was altered', async () => {
  await using database = await createDatabase(postgres());
  await createThings(database);
  await using pool = createReadPool(() => connect(database));
  const runQuery = () => pool.use((session) => session.query(QUERY, ['thing 1'], 5_000, true));
  expect(await runQuery()).toEqual([{ is_named: 'thing 1' }]);
  await database.sql('alter table secretbridge.things alter column is_named type varchar(100)');
  expect(await runQuery()).toEqual([{ is_named: 'thing 1' }]);
});
