import type { DatabaseSync } from 'node:sqlite';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import type { Head, StoredRecord } from '../chain.ts';
import { auditUnavailable } from '../errors.ts';
import { intentsUntilQuery } from '../records/queries.ts';
import { BLOCK, changeKey, recordRow, sourceRows, targetRows, valueRows } from '../records/tables.ts';
import {
  CONCURRENT_PRUNE,
  PRUNE_POINT_MISSING,
  type RetainedRecord,
  type StoredRetainedRecord,
  selectRetained,
  toRetained,
} from '../retention/retained-records.ts';
import type { SqliteFile } from './file.ts';
import { readBase, rows, sqliteQueries } from './rows.ts';

/** The number of records that one transaction deletes. Other writers can run between two transactions. */
const DELETE_BATCH = 250;

/**
 * Prunes records. One transaction moves the base, so that no query sees the pruned records any more. Later transactions
 * delete the rows in batches. If a crash interrupts them, the next call deletes the remaining rows.
 */
export async function pruneSqlite(
  file: SqliteFile,
  stored: (from: number) => AsyncIterable<StoredRecord>,
  until: Head,
): Promise<number> {
  const base = await file.read(readBase);
  const prunedCount = until.sequence - base.sequence;
  if (prunedCount < 0 || (prunedCount === 0 && until.hash !== base.hash))
    throw auditUnavailable(PRUNE_POINT_MISSING);
  if (prunedCount > 0) {
    const open = await file.read((sqlite) => rows(sqlite, intentsUntilQuery(sqliteQueries, until.sequence)));
    const sequences = new Set(open.map(({ sequence }) => sequence));
    const retained = await selectRetained(stored(base.sequence + 1), sequences, until);
    await file.write((sqlite) => {
      if (readBase(sqlite).hash !== base.hash) throw auditUnavailable(CONCURRENT_PRUNE);
      deleteClosed(sqlite);
      for (const retainedRecord of retained) upsertRetained(sqlite, retainedRecord);
      sqlite.prepare('update base set sequence = ?, hash = ?').run(until.sequence, until.hash);
    });
  }
  await deletePruned(file, until.sequence);
  return prunedCount;
}

function deleteClosed(sqlite: DatabaseSync): void {
  const closed = `select sequence from kept where slot like 'open %'
    and sequence not in (select sequence from open_intents)`;
  sqlite.exec(`delete from kept_sources where sequence in (${closed});
    delete from kept_values where sequence in (${closed});
    delete from kept where sequence in (${closed})`);
}

function upsertRetained(sqlite: DatabaseSync, { slot, record, text }: RetainedRecord): void {
  for (const table of ['kept_sources', 'kept_values'])
    sqlite
      .prepare(`delete from ${table} where sequence in (select sequence from kept where slot = ?)`)
      .run(slot);
  sqlite
    .prepare(
      `insert or replace into kept (slot, sequence, time, actor_kind, actor_name, request_id, action, outcome, code,
         mapping, namespace, secret, fingerprint_before, fingerprint_after, hash, record)
       values (:slot, :sequence, :time, :actor_kind, :actor_name, :request_id, :action, :outcome, :code, :mapping,
         :namespace, :secret, :fingerprint_before, :fingerprint_after, :hash, :record)`,
    )
    .run({ slot, ...recordRow(record, text) });
  const insert = sqlite.prepare('insert into kept_sources values (:sequence, :store, :key, :version)');
  for (const source of sourceRows(record)) insert.run({ ...source });
  const insertValue = sqlite.prepare('insert into kept_values values (:sequence, :fingerprint)');
  for (const value of valueRows(record)) insertValue.run({ ...value });
}

async function deletePruned(file: SqliteFile, until: number): Promise<void> {
  for (;;) {
    const more = await file.write((sqlite) => {
      const [{ first } = { first: null }] = sqlite
        .prepare('select min(sequence) as first from records')
        .all() as unknown as readonly { first: number | null }[];
      if (first === null || first > until) return false;
      const last = Math.min(until, first + DELETE_BATCH - 1);
      for (const table of ['record_sources', 'record_values', 'facets', 'records'])
        sqlite.prepare(`delete from ${table} where sequence <= ?`).run(last);
      sqlite.prepare('delete from spans where block < ?').run(Math.floor((last + 1) / BLOCK));
      return true;
    });
    if (!more) return;
    await yieldToEventLoop();
  }
}

/** Imports retained copies from another store. */
export function importRetained(sqlite: DatabaseSync, records: Iterable<StoredRetainedRecord>): void {
  const open = sqlite.prepare(
    `insert or replace into open_intents (sequence, request_id, namespace, secret, attempt, replica)
     values (:sequence, :request_id, :namespace, :secret, :attempt, :replica)`,
  );
  const target = sqlite.prepare('insert or ignore into targets values (:namespace, :secret)');
  for (const kept of records) {
    const retained = toRetained(kept);
    const { record } = retained;
    const { sequence, replica } = record;
    upsertRetained(sqlite, retained);
    if (kept.open) open.run({ ...changeKey(record), sequence, replica });
    for (const row of targetRows([record])) target.run({ ...row });
  }
}
