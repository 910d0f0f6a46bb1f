import type { Head, StoredRecord } from '../chain.ts';
import { because } from '../failures.ts';
import { linked, NOT_ITS_HEAD } from '../move/moving.ts';
import { baseQuery, intentsUntilQuery } from '../records/queries.ts';
import { BLOCK, changeKey, recordRow, sourceRows, targetRows, valueRows } from '../records/tables.ts';
import {
  AT_ONCE,
  type Keeper,
  type KeptRecord,
  keeperOf,
  keepersOf,
  NOT_THERE,
} from '../retention/keepers.ts';
import { batchOfRecords, postgresQueries, rows as read } from './rows.ts';
import type { Session } from './session.ts';
import { insertBatch, type Writer } from './writer.ts';

/** How many rows are removed at once: nobody can append meanwhile. */
const STEP = 1_000;

/** How many copies go with one statement. */
const COPIES = 500;

async function readBase(session: Session): Promise<Head> {
  const [base] = await read(session, baseQuery(postgresQueries));
  if (base === undefined) throw because('its base is missing, so that it was changed from outside');
  return { sequence: base.sequence, hash: base.hash };
}

/**
 * Lets records leave: one step moves the base, and with it they are gone for every question. Their rows are removed
 * afterwards, bit by bit; what a crash leaves of them is in nobody's way, and goes with the next call.
 */
export async function prunePostgres(
  writer: Writer,
  stored: (from: number) => AsyncIterable<StoredRecord>,
  until: Head,
): Promise<number> {
  const { base, open } = await writer.change(async (session) => ({
    base: await readBase(session),
    open: await read(session, intentsUntilQuery(postgresQueries, until.sequence)),
  }));
  const left = until.sequence - base.sequence;
  if (left < 0 || (left === 0 && until.hash !== base.hash)) throw because(NOT_THERE);
  if (left > 0) {
    const sequences = new Set(open.map(({ sequence }) => sequence));
    const keepers = await keepersOf(stored(base.sequence + 1), sequences, until);
    await writer.change(async (session) => {
      if ((await readBase(session)).hash !== base.hash) throw because(AT_ONCE);
      await session.script(FORGET);
      for (let start = 0; start < keepers.length; start += COPIES)
        await keep(session, keepers.slice(start, start + COPIES));
      await session.query('update base set sequence = $1, hash = $2', [until.sequence, until.hash]);
    });
  }
  while (await writer.change((session) => removeSome(session, until.sequence)));
  return left;
}

/** Copies of intents that have their outcome by now. */
const CLOSED = `select sequence from kept where slot like 'open %' and sequence not in (select sequence from open_intents)`;
const FORGET = `delete from kept_sources where sequence in (${CLOSED});
  delete from kept_values where sequence in (${CLOSED}); delete from kept where sequence in (${CLOSED})`;

const KEEP = `
  with it as (select $1::json as it),
  newer as (select k.* from it, json_populate_recordset(null::kept, it->'kept') k),
  old_sources as (
    delete from kept_sources where sequence in (select kept.sequence from kept join newer using (slot))
  ),
  old_values as (
    delete from kept_values where sequence in (select kept.sequence from kept join newer using (slot))
  ),
  new_sources as (
    insert into kept_sources select s.* from it, json_populate_recordset(null::kept_sources, it->'sources') s
  ),
  new_values as (
    insert into kept_values select v.* from it, json_populate_recordset(null::kept_values, it->'values') v
  )
  insert into kept select * from newer on conflict (slot) do update set sequence = excluded.sequence,
    time = excluded.time, actor_kind = excluded.actor_kind, actor_name = excluded.actor_name,
    request_id = excluded.request_id, action = excluded.action, outcome = excluded.outcome, code = excluded.code,
    mapping = excluded.mapping, namespace = excluded.namespace, secret = excluded.secret,
    fingerprint_before = excluded.fingerprint_before, fingerprint_after = excluded.fingerprint_after,
    hash = excluded.hash, record = excluded.record`;

async function keep(session: Session, keepers: readonly Keeper[]): Promise<void> {
  const kept = keepers.map(({ slot, record, text }) => ({ slot, ...recordRow(record, text) }));
  const sources = keepers.flatMap(({ record }) => sourceRows(record));
  const values = keepers.flatMap(({ record }) => valueRows(record));
  await session.query(KEEP, [JSON.stringify({ kept, sources, values })]);
}

async function removeSome(session: Session, until: number): Promise<boolean> {
  const [{ first } = { first: null }] = (await session.query(
    'select min(sequence) as first from records',
  )) as readonly { readonly first: number | null }[];
  if (first === null || first > until) return false;
  const last = Math.min(until, first + STEP - 1);
  for (const table of ['record_sources', 'record_values', 'facets', 'records'])
    await session.query(`delete from ${table} where sequence <= $1`, [last]);
  await session.query('delete from spans where block < $1', [Math.floor((last + 1) / BLOCK)]);
  return true;
}

/** Takes over what follows the head, as it is. An empty store may begin after any. */
export function takeOverPostgres(writer: Writer, records: Iterable<StoredRecord>, base: Head): Promise<void> {
  return writer.change(async (session, head) => {
    if (head.sequence === 0) {
      await session.query('update base set sequence = $1, hash = $2', [base.sequence, base.hash]);
      await session.query('update head set sequence = $1, hash = $2', [base.sequence, base.hash]);
    } else if (head.hash !== base.hash) {
      throw because(NOT_ITS_HEAD);
    }
    const all = linked(records, base);
    for (let part = [...all.take(COPIES)]; part.length > 0; part = [...all.take(COPIES)]) {
      const last = part.at(-1)?.record ?? base;
      await insertBatch(session, batchOfRecords(part), last);
    }
    // Whoever began them does not write here.
    await session.query('update open_intents set left_behind = true where sequence > $1', [base.sequence]);
  });
}

/** Takes over copies of records that left another store. */
export async function keepAllPostgres(writer: Writer, records: Iterable<KeptRecord>): Promise<void> {
  const all = [...records];
  const keepers = all.map(keeperOf);
  const openIntents = keepers
    .filter((_, index) => all[index]?.open)
    .map(({ record }) => ({ ...changeKey(record), sequence: record.sequence, replica: record.replica }));
  const targets = targetRows(keepers.map(({ record }) => record));
  await writer.change(async (session) => {
    await keep(session, keepers);
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
