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

/** What a program of schema 1 stored: 61 records, the last one an intent without an outcome. */
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
  await using own = store;
  return await answersOf(own);
}

it('a store of the first schema is read as it is, and then taken along by two replicas together', async () => {
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

it('a replica waits for as long as another one takes the store along', async () => {
  await using database = await oldDatabase();
  const other = new Client({ connectionString: database.url });
  await other.connect();
  await other.query(`select pg_advisory_lock(${lockKey('migrate')})`);
  const opened = database.open();
  // Longer than the server lets one statement wait.
  await other.query('select pg_sleep(4.5)');
  await other.end();
  await using store = await opened;
  expect(await store.append([entry()])).toMatchObject([{ sequence: 62 }]);
});

it('nothing that an older replica appends meanwhile is left out', async () => {
  await using database = await oldDatabase();
  const old = new Client({ connectionString: database.url });
  await old.connect();
  await old.query('begin; set search_path = secretbridge; select from head for update');
  await old.query(`insert into records select 62, time, actor_kind, actor_name, request_id, 'create', outcome, code,
    mapping, namespace, 'late', fingerprint_before, fingerprint_after, hash, record from records where sequence = 1`);
  const opened = database.open();
  await old.query('select pg_sleep(0.5)');
  await old.query('commit');
  await old.end();
  await using store = await opened;
  expect((await store.targets()).map(({ secret }) => secret)).toContain('late');
});

it('a program of the first schema that still writes beside ours leaves no gap', async () => {
  await using database = await oldDatabase();
  await using store = await database.open();
  await store.append([entry()]);
  expect(await database.sql('select oldest_reader, oldest_writer from secretbridge.compatibility')).toEqual([
    { oldest_reader: 1, oldest_writer: 1 },
  ]);
  // As it inserts: the columns that it knows, and nothing beside them.
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
