import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { expect, it } from 'vitest';
import { lockKey } from '../../../src/audit/postgres/locks.ts';
import type { AuditStore } from '../../../src/audit/store.ts';
import { verify } from '../../../src/audit/verify/verify.ts';
import { bare, entry } from '../../audit/sample.ts';
import { answersOf } from '../../audit/schema-1.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';

/** A store with 61 records, written by a program of schema 1. The last record is an intent without an outcome. */
const FIXTURE = readFileSync(
  join(import.meta.dirname, '..', '..', 'audit', 'fixtures', 'postgres-schema-1.sql'),
  'utf8',
);

async function oldDatabase() {
  const database = await createDatabase(postgres());
  await database.sql(`${FIXTURE}; select 1`);
  return database;
}

async function read(store: AuditStore): Promise<object> {
  await using openStore = store;
  return await answersOf(openStore);
}

it('reads a store of schema 1 without changes, and then lets two replicas migrate it at the same time', async () => {
  await using database = await oldDatabase();
  const before = await read(await database.open({ readOnly: true }));
  expect(before).toMatchObject({
    proof: { kind: 'intact', records: 61 },
    base: { sequence: 0 },
    unreviewed: [60, 59, 58],
  });
  expect(await database.sql('select schema_version from secretbridge.compatibility')).toEqual([
    { schema_version: 1 },
  ]);
  const [a, b] = await Promise.all(['a', 'b'].map((replica) => database.open({ replica })));
  if (a === undefined || b === undefined) expect.fail();
  await using _a = a;
  await using _b = b;
  expect(await answersOf(a)).toEqual(before);
  await b.append([bare({ action: 'review', review: { sequence: 60, state: 'flagged' } })]);
  expect([...(await a.reviews([60])).keys()]).toEqual([60]);
  expect(await verify(a.storedRecords(1))).toMatchObject({ kind: 'intact', records: 62 });
});

it('waits while another replica migrates the store', async () => {
  await using database = await oldDatabase();
  const other = new Client({ connectionString: database.url });
  await other.connect();
  await other.query(`select pg_advisory_lock(${lockKey('migrate')})`);
  const opened = database.open();
  // This is longer than the lock timeout of a statement.
  await other.query('select pg_sleep(4.5)');
  await other.end();
  await using store = await opened;
  expect(await store.append([entry()])).toMatchObject([{ sequence: 62 }]);
});

it('keeps records that an older replica appends during the migration', async () => {
  await using database = await oldDatabase();
  const oldReplica = new Client({ connectionString: database.url });
  await oldReplica.connect();
  await oldReplica.query('begin; set search_path = secretbridge; select from head for update');
  await oldReplica.query(`insert into records select 62, time, actor_kind, actor_name, request_id, 'create', outcome, code,
    mapping, namespace, 'late', fingerprint_before, fingerprint_after, hash, record from records where sequence = 1`);
  const opened = database.open();
  await oldReplica.query('select pg_sleep(0.5)');
  await oldReplica.query('commit');
  await oldReplica.end();
  await using store = await opened;
  expect((await store.targets()).map(({ secret }) => secret)).toContain('late');
});

it('keeps records that a program of schema 1 writes after the migration', async () => {
  await using database = await oldDatabase();
  await using store = await database.open();
  await store.append([entry()]);
  expect(await database.sql('select oldest_reader, oldest_writer from secretbridge.compatibility')).toEqual([
    { oldest_reader: 1, oldest_writer: 1 },
  ]);
  // A program of schema 1 inserts only the columns of schema 1.
  const columns = `time, actor_kind, actor_name, request_id, action, outcome, code, mapping, namespace, secret,
    fingerprint_before, fingerprint_after, hash, record`;
  await database.sql(`set search_path = secretbridge;
    insert into records (sequence, ${columns}) select 63, ${columns.replace('secret,', "'new',")}
    from records where sequence = 62`);
  expect((await store.targets()).map(({ secret }) => secret)).toContain('new');
  expect(await store.list({ review: 'unreviewed' }, { limit: 1 })).toMatchObject([{ sequence: 62 }]);
  const [unreviewed] = await database.sql(
    "select max(sequence)::int as last from secretbridge.facets where state = 'unreviewed'",
  );
  expect(unreviewed).toEqual({ last: 63 });
});
