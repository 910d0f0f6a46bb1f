import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import type { Head, StoredRecord } from '../chain.ts';
import { auditUnavailable } from '../errors.ts';
import {
  CONCURRENT_PRUNE,
  PRUNE_POINT_MISSING,
  type RetainedRecord,
  selectRetained,
} from '../retention/retained-records.ts';
import type { AuditDatabase, Query, Transaction } from './database.ts';
import { baseQuery } from './queries.ts';
import { isOneOf, raw, sql } from './sql.ts';
import { hourOf } from './summary-rows.ts';
import { BLOCK, fingerprintRows, recordRow, sourceRows } from './tables.ts';

/** The number of records that one transaction deletes. Other writers can run between two transactions. */
const DELETE_BATCH = 250;

/** The number of copies that one statement inserts. */
const INSERT_BATCH = 500;

/**
 * Prunes records. One transaction moves the base, so that no query sees the pruned records any more. Later transactions
 * delete the rows in batches. If a crash interrupts them, the next call deletes the remaining rows.
 */
export async function pruneRecords(
  database: AuditDatabase,
  stored: (from: number) => AsyncIterable<StoredRecord>,
  until: Head,
): Promise<number> {
  const { base, open } = await database.transact(async ({ query }) => ({
    base: await readBase(query),
    open: await query(
      sql<{ sequence: number }>`select sequence from open_intents where sequence <= ${until.sequence}`,
    ),
  }));
  const prunedCount = until.sequence - base.sequence;
  if (prunedCount < 0 || (prunedCount === 0 && until.hash !== base.hash))
    throw auditUnavailable(PRUNE_POINT_MISSING);
  if (prunedCount > 0) {
    const sequences = new Set(open.map(({ sequence }) => sequence));
    const retained = await selectRetained(stored(base.sequence + 1), sequences, until);
    await database.transact(async (transaction) => {
      if ((await readBase(transaction.query)).hash !== base.hash) throw auditUnavailable(CONCURRENT_PRUNE);
      await deleteClosed(transaction.query);
      await saveRetained(transaction, retained);
      await transaction.query(sql`update base set sequence = ${until.sequence}, hash = ${until.hash}`);
    });
  }
  while (await database.transact(({ query }) => deleteBatch(query, until.sequence))) await yieldToEventLoop();
  return prunedCount;
}

async function readBase(query: Query): Promise<Head> {
  const [base] = await query(baseQuery);
  if (base === undefined) throw auditUnavailable('its base is missing: it was changed from outside');
  return { sequence: base.sequence, hash: base.hash };
}

const RETAINED_TABLES = ['kept_sources', 'kept_fingerprints'];

/** Deletes the copies of intents that now have an outcome. */
async function deleteClosed(query: Query): Promise<void> {
  const closed = sql`select sequence from kept where slot like 'open %'
    and sequence not in (select sequence from open_intents)`;
  for (const table of [...RETAINED_TABLES, 'kept'])
    await query(sql`delete from ${raw(table)} where sequence in (${closed})`);
}

/** Stores copies of pruned records. Each copy replaces the earlier copy in its slot (`retained-records.ts`). */
export async function saveRetained(
  { query, change }: Transaction,
  retained: readonly RetainedRecord[],
): Promise<void> {
  for (let start = 0; start < retained.length; start += INSERT_BATCH) {
    const part = retained.slice(start, start + INSERT_BATCH);
    const slots = isOneOf(
      'slot',
      part.map(({ slot }) => slot),
    );
    for (const table of RETAINED_TABLES)
      await query(
        sql`delete from ${raw(table)} where sequence in (select sequence from kept where ${slots})`,
      );
    await change({
      rows: {
        kept: part.map(({ slot, record, text }) => ({ slot, ...recordRow(record, text) })),
        kept_sources: part.flatMap(({ record }) => sourceRows(record)),
        kept_fingerprints: part.flatMap(({ record }) => fingerprintRows(record)),
      },
    });
  }
}

/** Deletes one batch of the oldest pruned records. Returns whether there were any. */
async function deleteBatch(query: Query, until: number): Promise<boolean> {
  const [row] = await query(sql<{ first: number | null }>`select min(sequence) as first from records`);
  const first = row?.first ?? undefined;
  if (first === undefined || first > until) return false;
  const last = Math.min(until, first + DELETE_BATCH - 1);
  for (const table of ['record_sources', 'record_fingerprints', 'record_reviews', 'record_notes', 'records'])
    await query(sql`delete from ${raw(table)} where sequence <= ${last}`);
  await query(sql`delete from spans where block < ${Math.floor((last + 1) / BLOCK)}`);
  const [span] = await query(sql<{ since: string | null }>`select min(since) as since from spans`);
  if (span?.since) await query(sql`delete from record_counts where hour < ${hourOf(span.since)}`);
  return true;
}
