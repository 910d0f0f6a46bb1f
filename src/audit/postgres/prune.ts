import type { Head, StoredRecord } from '../chain.ts';
import { auditUnavailable } from '../errors.ts';
import { HEAD_MISMATCH, linkedRecords } from '../move/movable-audit.ts';
import { baseQuery, intentsUntilQuery } from '../records/queries.ts';
import { BLOCK, changeKey, recordRow, sourceRows, targetRows, valueRows } from '../records/tables.ts';
import {
  CONCURRENT_PRUNE,
  PRUNE_POINT_MISSING,
  type RetainedRecord,
  type StoredRetainedRecord,
  selectRetained,
  toRetained,
} from '../retention/retained-records.ts';
import { batchOfRecords, postgresQueries, rows as read } from './rows.ts';
import type { Session } from './session.ts';
import { insertBatch, type Writer } from './writer.ts';

/** How many records one transaction deletes. Appends wait until it ends. */
const DELETE_BATCH = 1_000;

/** The number of records that one statement inserts. */
const INSERT_BATCH = 500;

async function readBase(session: Session): Promise<Head> {
  const [base] = await read(session, baseQuery(postgresQueries));
  if (base === undefined) throw auditUnavailable('its base is missing: it was changed from outside');
  return { sequence: base.sequence, hash: base.hash };
}

/**
 * Prunes records. One transaction moves the base, so that no query sees the pruned records any more. Later transactions
 * delete the rows in batches. If a crash interrupts them, the next call deletes the remaining rows.
 */
export async function prunePostgres(
  writer: Writer,
  stored: (from: number) => AsyncIterable<StoredRecord>,
  until: Head,
): Promise<number> {
  const { base, open } = await writer.transact(async (session) => ({
    base: await readBase(session),
    open: await read(session, intentsUntilQuery(postgresQueries, until.sequence)),
  }));
  const prunedCount = until.sequence - base.sequence;
  if (prunedCount < 0 || (prunedCount === 0 && until.hash !== base.hash))
    throw auditUnavailable(PRUNE_POINT_MISSING);
  if (prunedCount > 0) {
    const sequences = new Set(open.map(({ sequence }) => sequence));
    const retained = await selectRetained(stored(base.sequence + 1), sequences, until);
    await writer.transact(async (session) => {
      if ((await readBase(session)).hash !== base.hash) throw auditUnavailable(CONCURRENT_PRUNE);
      await session.script(DELETE_CLOSED);
      for (let start = 0; start < retained.length; start += INSERT_BATCH)
        await upsertRetained(session, retained.slice(start, start + INSERT_BATCH));
      await session.query('update base set sequence = $1, hash = $2', [until.sequence, until.hash]);
    });
  }
  while (await writer.transact((session) => deleteBatch(session, until.sequence)));
  return prunedCount;
}

/** Retained intents that now have an outcome. */
const CLOSED = `select sequence from kept where slot like 'open %' and sequence not in (select sequence from open_intents)`;
const DELETE_CLOSED = `delete from kept_sources where sequence in (${CLOSED});
  delete from kept_values where sequence in (${CLOSED}); delete from kept where sequence in (${CLOSED})`;

const UPSERT_RETAINED = `
  with input as (select $1::json as data),
  newer as (select k.* from input, json_populate_recordset(null::kept, data->'kept') k),
  old_sources as (
    delete from kept_sources where sequence in (select kept.sequence from kept join newer using (slot))
  ),
  old_values as (
    delete from kept_values where sequence in (select kept.sequence from kept join newer using (slot))
  ),
  new_sources as (
    insert into kept_sources select s.* from input, json_populate_recordset(null::kept_sources, data->'sources') s
  ),
  new_values as (
    insert into kept_values select v.* from input, json_populate_recordset(null::kept_values, data->'values') v
  )
  insert into kept select * from newer on conflict (slot) do update set sequence = excluded.sequence,
    time = excluded.time, actor_kind = excluded.actor_kind, actor_name = excluded.actor_name,
    request_id = excluded.request_id, action = excluded.action, outcome = excluded.outcome, code = excluded.code,
    mapping = excluded.mapping, namespace = excluded.namespace, secret = excluded.secret,
    fingerprint_before = excluded.fingerprint_before, fingerprint_after = excluded.fingerprint_after,
    hash = excluded.hash, record = excluded.record`;

async function upsertRetained(session: Session, retained: readonly RetainedRecord[]): Promise<void> {
  const kept = retained.map(({ slot, record, text }) => ({ slot, ...recordRow(record, text) }));
  const sources = retained.flatMap(({ record }) => sourceRows(record));
  const values = retained.flatMap(({ record }) => valueRows(record));
  await session.query(UPSERT_RETAINED, [JSON.stringify({ kept, sources, values })]);
}

async function deleteBatch(session: Session, until: number): Promise<boolean> {
  const [{ first } = { first: null }] = (await session.query(
    'select min(sequence) as first from records',
  )) as readonly { readonly first: number | null }[];
  if (first === null || first > until) return false;
  const last = Math.min(until, first + DELETE_BATCH - 1);
  for (const table of ['record_sources', 'record_values', 'facets', 'records'])
    await session.query(`delete from ${table} where sequence <= $1`, [last]);
  await session.query('delete from spans where block < $1', [Math.floor((last + 1) / BLOCK)]);
  return true;
}

/** Imports records unchanged and appends them to the chain. An empty store accepts any base. */
export function importRecordsPostgres(
  writer: Writer,
  records: Iterable<StoredRecord>,
  base: Head,
): Promise<void> {
  return writer.transact(async (session, head) => {
    if (head.sequence === 0) {
      await session.query('update base set sequence = $1, hash = $2', [base.sequence, base.hash]);
      await session.query('update head set sequence = $1, hash = $2', [base.sequence, base.hash]);
    } else if (head.hash !== base.hash) {
      throw auditUnavailable(HEAD_MISMATCH);
    }
    const all = linkedRecords(records, base);
    for (let part = [...all.take(INSERT_BATCH)]; part.length > 0; part = [...all.take(INSERT_BATCH)]) {
      const last = part.at(-1)?.record ?? base;
      await insertBatch(session, batchOfRecords(part), last);
    }
    // The processes of these intents do not write to this store, so the intents count as abandoned.
    await session.query('update open_intents set left_behind = true where sequence > $1', [base.sequence]);
  });
}

/** Imports retained copies from another store. */
export async function importRetainedPostgres(
  writer: Writer,
  records: Iterable<StoredRetainedRecord>,
): Promise<void> {
  const all = [...records];
  const retained = all.map(toRetained);
  const openIntents = retained
    .filter((_, index) => all[index]?.open)
    .map(({ record }) => ({ ...changeKey(record), sequence: record.sequence, replica: record.replica }));
  const targets = targetRows(retained.map(({ record }) => record));
  await writer.transact(async (session) => {
    await upsertRetained(session, retained);
    await session.query(
      `insert into open_intents (sequence, request_id, namespace, secret, attempt, replica, left_behind)
       select sequence, request_id, namespace, secret, attempt, replica, true
       from json_populate_recordset(null::open_intents, $1::json) on conflict do nothing`,
      [JSON.stringify(openIntents)],
    );
    await session.query(
      'insert into targets select * from json_populate_recordset(null::targets, $1::json) on conflict do nothing',
      [JSON.stringify(targets)],
    );
  });
}
