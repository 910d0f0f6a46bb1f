import { appendSanitized, type Head, type RecordContext, type StoredRecord } from '../chain.ts';
import type { AuditRecord, Entry } from '../entry.ts';
import { auditUnavailable } from '../errors.ts';
import { HEAD_MISMATCH, type LinkedRecord, linkedRecords, MOVE_IN_PROGRESS } from '../move/movable-audit.ts';
import { type StoredRetainedRecord, toRetained } from '../retention/retained-records.ts';
import type { AuditDatabase, Transaction, WriteState } from './database.ts';
import { saveRetained } from './prune.ts';
import { saveReviews } from './reviews.ts';
import { sql } from './sql.ts';
import { sourceVersionRows, summaryRows } from './summary-rows.ts';
import {
  BLOCK,
  type ChangeKey,
  changeKey,
  fingerprintRows,
  type IntentRow,
  recordRow,
  type SpanRow,
  sourceRows,
  targetRows,
} from './tables.ts';

/** The number of records that one statement inserts. */
const INSERT_BATCH = 500;

/** Appends sanitized entries. All new records are written here. */
export async function appendEntries(
  transaction: Transaction,
  { head, moving }: WriteState,
  entries: readonly Entry[],
  context: RecordContext,
): Promise<readonly AuditRecord[]> {
  if (moving !== null) throw auditUnavailable(MOVE_IN_PROGRESS);
  let last = head;
  const appended = entries.map((entry) => {
    const { record, stored } = appendSanitized(last, entry, context);
    last = record;
    return { record, text: stored.text };
  });
  await insertRecords(transaction, appended, last);
  return appended.map(({ record }) => record);
}

/** Inserts records with their search rows, and moves the head. */
async function insertRecords(
  { query, change }: Transaction,
  appended: readonly LinkedRecord[],
  { sequence, hash }: Head,
): Promise<void> {
  const records = appended.map(({ record }) => record);
  const { opened, closed } = intentsOf(records);
  await change({
    rows: {
      records: appended.map(({ record, text }) => recordRow(record, text)),
      record_sources: records.flatMap(sourceRows),
      record_fingerprints: records.flatMap(fingerprintRows),
      spans: spanRows(records),
      targets: targetRows(records),
      open_intents: opened,
      ...summaryRows(records),
    },
    closed,
    head: { sequence, hash },
  });
  await saveReviews(query, records);
}

function spanRows(records: readonly AuditRecord[]): readonly SpanRow[] {
  const blocks = Map.groupBy(records, ({ sequence }) => Math.floor(sequence / BLOCK));
  return [...blocks].map(([block, inBlock]) => {
    const times = inBlock.map(({ time }) => time).sort();
    return { block, since: times[0] ?? '', until: times.at(-1) ?? '' };
  });
}

/**
 * Returns the intents without an outcome among these records, and the keys of all outcomes. An intent with an outcome
 * among them needs no row in `open_intents`.
 */
function intentsOf(records: readonly AuditRecord[]): {
  readonly opened: readonly IntentRow[];
  readonly closed: readonly ChangeKey[];
} {
  const opened = new Map<string, IntentRow[]>();
  const closed: ChangeKey[] = [];
  for (const record of records) {
    const key = changeKey(record);
    const id = JSON.stringify(Object.values(key));
    if (record.phase === 'intent') {
      const row = { ...key, sequence: record.sequence, replica: record.replica };
      opened.set(id, [...(opened.get(id) ?? []), row]);
    } else if (record.phase === 'outcome') {
      opened.delete(id);
      closed.push(key);
    }
  }
  return { opened: [...opened.values()].flat(), closed };
}

/** Imports records unchanged and appends them to the chain. In an empty store, the chain may start after any base. */
export function importRecords(
  database: AuditDatabase,
  records: Iterable<StoredRecord>,
  { sequence, hash }: Head,
): Promise<void> {
  return database.transact(async (transaction, { head }) => {
    const base = { sequence, hash };
    if (head.sequence === 0) {
      await transaction.query(sql`update base set sequence = ${sequence}, hash = ${hash}`);
      await transaction.change({ rows: {}, head: base });
    } else if (head.hash !== hash) throw auditUnavailable(HEAD_MISMATCH);
    const all = linkedRecords(records, base);
    for (let part = [...all.take(INSERT_BATCH)]; part.length > 0; part = [...all.take(INSERT_BATCH)])
      await insertRecords(transaction, part, part.at(-1)?.record ?? base);
    await finishImport(database, transaction);
  });
}

/** Imports retained copies from another store. */
export async function importRetained(
  database: AuditDatabase,
  records: Iterable<StoredRetainedRecord>,
): Promise<void> {
  const all = [...records].map((stored) => ({ ...toRetained(stored), open: stored.open }));
  const open = all.filter((retained) => retained.open).map(({ record }) => record);
  await database.transact(async (transaction) => {
    await saveRetained(transaction, all);
    const records = all.map(({ record }) => record);
    const rows = { targets: targetRows(records), source_versions: sourceVersionRows(records) };
    await transaction.change({ rows: { open_intents: intentsOf(open).opened, ...rows } });
    await finishImport(database, transaction);
  });
}

async function finishImport({ dialect }: AuditDatabase, { query }: Transaction): Promise<void> {
  if (dialect.afterImport !== undefined) await query(dialect.afterImport);
}
