import type { DatabaseSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Head, StoredRecord } from '../chain.ts';
import { because } from '../failures.ts';
import { intentsUntilQuery } from '../records/queries.ts';
import { BLOCK, changeKey, recordRow, sourceRows, targetRows, valueRows } from '../records/tables.ts';
import {
  AT_ONCE,
  type Keeper,
  type KeptRecord,
  keeperOf,
  keepersOf,
  NOT_THERE,
} from '../retention/keepers.ts';
import type { SqliteFile } from './file.ts';
import { readBase, rows, sqliteQueries } from './rows.ts';

/** How many rows are removed at once: between two steps others get their turn. */
const STEP = 250;

/**
 * Lets records leave: one step moves the base, and with it they are gone for every question. Their rows are removed
 * afterwards, bit by bit; what a crash leaves of them is in nobody's way, and goes with the next call.
 */
export async function pruneSqlite(
  file: SqliteFile,
  stored: (from: number) => AsyncIterable<StoredRecord>,
  until: Head,
): Promise<number> {
  const base = await file.read(readBase);
  const left = until.sequence - base.sequence;
  if (left < 0 || (left === 0 && until.hash !== base.hash)) throw because(NOT_THERE);
  if (left > 0) {
    const open = await file.read((sqlite) => rows(sqlite, intentsUntilQuery(sqliteQueries, until.sequence)));
    const sequences = new Set(open.map(({ sequence }) => sequence));
    const keepers = await keepersOf(stored(base.sequence + 1), sequences, until);
    await file.write((sqlite) => {
      if (readBase(sqlite).hash !== base.hash) throw because(AT_ONCE);
      forgetClosed(sqlite);
      for (const keeper of keepers) keep(sqlite, keeper);
      sqlite.prepare('update base set sequence = ?, hash = ?').run(until.sequence, until.hash);
    });
  }
  await sweep(file, until.sequence);
  return left;
}

function forgetClosed(sqlite: DatabaseSync): void {
  const closed = `select sequence from kept where slot like 'open %'
    and sequence not in (select sequence from open_intents)`;
  sqlite.exec(`delete from kept_sources where sequence in (${closed});
    delete from kept_values where sequence in (${closed});
    delete from kept where sequence in (${closed})`);
}

function keep(sqlite: DatabaseSync, { slot, record, text }: Keeper): void {
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

async function sweep(file: SqliteFile, until: number): Promise<void> {
  for (;;) {
    const more = await file.write((sqlite) => {
      const [{ first } = { first: null }] = sqlite
        .prepare('select min(sequence) as first from records')
        .all() as unknown as readonly { first: number | null }[];
      if (first === null || first > until) return false;
      const last = Math.min(until, first + STEP - 1);
      for (const table of ['record_sources', 'record_values', 'facets', 'records'])
        sqlite.prepare(`delete from ${table} where sequence <= ?`).run(last);
      sqlite.prepare('delete from spans where block < ?').run(Math.floor((last + 1) / BLOCK));
      return true;
    });
    if (!more) return;
    await nextTurn();
  }
}

/** Takes over copies of records that left another store. */
export function keepAll(sqlite: DatabaseSync, records: Iterable<KeptRecord>): void {
  const open = sqlite.prepare(
    `insert or replace into open_intents (sequence, request_id, namespace, secret, attempt, replica)
     values (:sequence, :request_id, :namespace, :secret, :attempt, :replica)`,
  );
  const target = sqlite.prepare('insert or ignore into targets values (:namespace, :secret)');
  for (const kept of records) {
    const keeper = keeperOf(kept);
    const { record } = keeper;
    const { sequence, replica } = record;
    keep(sqlite, keeper);
    if (kept.open) open.run({ ...changeKey(record), sequence, replica });
    for (const row of targetRows([record])) target.run({ ...row });
  }
}
