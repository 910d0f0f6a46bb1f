import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { tickingClock } from '../conformance/audit-store.ts';
import { temporaryFolder } from './folder.ts';
import { bare, entry } from './sample.ts';
import { answersOf } from './schema-1.ts';

/** A store with 61 records, written by a program of schema 1. The last record is an intent without an outcome. */
const FIXTURE = readFileSync(join(import.meta.dirname, 'fixtures', 'sqlite-schema-1.sql'), 'utf8');

/** The columns that a program of schema 1 compares with the text of the record. */
const RECORD_COLUMNS = [
  ...['sequence', 'time', 'actor_kind', 'actor_name', 'request_id', 'action', 'outcome', 'code', 'mapping'],
  ...['namespace', 'secret', 'fingerprint_before', 'fingerprint_after', 'hash', 'record'],
];

async function oldStore() {
  const folder = await temporaryFolder();
  const path = join(folder.path, 'audit.db');
  const db = new DatabaseSync(path);
  db.exec(FIXTURE);
  db.close();
  return {
    path,
    open: (replica: string, readOnly = false): Promise<AuditStore> =>
      openSqliteAudit({ path, instance: 'prod-eu', replica, clock: tickingClock(), readOnly }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

describe('a store of schema 1', () => {
  it('can be read without changing it', async () => {
    await using old = await oldStore();
    const before = createHash('sha256').update(readFileSync(old.path)).digest('hex');
    await using store = await old.open('reader', true);
    expect(await answersOf(store)).toMatchObject({
      proof: { kind: 'intact', records: 61 },
      base: { sequence: 0 },
      unreviewed: [60, 59, 58],
      reviewed: [],
    });
    expect(createHash('sha256').update(readFileSync(old.path)).digest('hex')).toBe(before);
  });

  it('is migrated once, with all its data, by two processes that start together', async () => {
    await using old = await oldStore();
    const before = await withStore(await old.open('reader', true), answersOf);
    const [a, b] = await Promise.all([old.open('a'), old.open('b')]);
    await using _a = a;
    await using _b = b;
    expect(await answersOf(a)).toEqual(before);
    expect((await b.unresolvedIntents()).map(({ sequence }) => sequence)).toEqual([59]);
    await b.append([bare({ action: 'review', review: { sequence: 60, state: 'flagged' } })]);
    expect([...(await a.reviews([60])).keys()]).toEqual([60]);
    expect(await verify(a.storedRecords(1))).toMatchObject({ kind: 'intact', records: 62 });
  });

  it('remains readable for programs of schema 1 after the migration', async () => {
    await using old = await oldStore();
    {
      await using store = await old.open('a');
      await store.append([entry()]);
    }
    const db = new DatabaseSync(old.path, { readOnly: true });
    const columns = (table: string) =>
      db
        .prepare(`select * from ${table}`)
        .columns()
        .map(({ name }) => name);
    expect(columns('records')).toEqual(RECORD_COLUMNS);
    expect(columns('record_sources')).toEqual(['sequence', 'store', 'key', 'version']);
    expect(db.prepare('select oldest_reader from compatibility').get()).toEqual({ oldest_reader: 1 });
    expect(db.prepare('select sequence from head').get()).toEqual({ sequence: 62 });
    db.close();
  });

  it('can be migrated while a reader has it open', async () => {
    await using old = await oldStore();
    await using reader = await old.open('reader', true);
    const before = await answersOf(reader);
    await using writer = await old.open('a');
    await writer.append([bare()]);
    expect(await reader.head()).toMatchObject({ sequence: 62 });
    await writer.prune((await writer.get(10)) ?? expect.fail());
    expect(await reader.base()).toMatchObject({ sequence: 10 });
    expect(before).toMatchObject({ base: { sequence: 0 } });
  });
});

async function withStore<T>(store: AuditStore, work: (store: AuditStore) => Promise<T>): Promise<T> {
  await using own = store;
  return await work(own);
}
