import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { appendPlain, type Circumstances, GENESIS, type Head, type StoredRecord } from '../chain.ts';
import type { AuditRecord, Entry } from '../entry.ts';
import { because } from '../failures.ts';
import { linked, MOVING, NOT_ITS_HEAD } from '../move/moving.ts';
import { baseQuery, headQuery } from '../records/queries.ts';
import { reviewChange } from '../records/reviews.ts';
import { AS_IF_SCHEMA_2 } from '../records/schema-2.ts';
import {
  type AuditTables,
  BLOCK,
  changeKey,
  facetOf,
  leftovers,
  recordRow,
  sourceRows,
  targetRows,
  valueRows,
} from '../records/tables.ts';
import { version } from './migrations.ts';

// Builds SQL only. node:sqlite is synchronous, so a transaction that stays within one call cannot be interleaved
// with another query of this process, which a driver of promises could not promise.
export const sqliteQueries = new Kysely<AuditTables>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
});

export function rows<Row>(sqlite: DatabaseSync, query: CompiledQuery<Row>): Row[] {
  // Our parameters are text, numbers and null; our tables are strict, so the rows have the types of `AuditTables`.
  const parameters = query.parameters as readonly SQLInputValue[];
  // Only a reader finds an older schema; that of a file may change under its eyes.
  const sql = isOfSchema1(sqlite) ? AS_IF_SCHEMA_2 + query.sql : query.sql;
  return prepared(sqlite, sql).all(...parameters) as unknown as Row[];
}

const migrated = new WeakSet<DatabaseSync>();

/** A schema only ever becomes newer. */
function isOfSchema1(sqlite: DatabaseSync): boolean {
  if (migrated.has(sqlite)) return false;
  if (version(sqlite) < 2) return true;
  migrated.add(sqlite);
  return false;
}

/** The text of a query has no values in it, so there are few; those of searches that combine anyhow may be many. */
const MOST_PREPARED = 64;
const preparedOf = new WeakMap<DatabaseSync, Map<string, StatementSync>>();

/** Preparing a query takes longer than most of them do. What was not used for longest is given up. */
function prepared(sqlite: DatabaseSync, sql: string): StatementSync {
  const all = preparedOf.get(sqlite) ?? new Map<string, StatementSync>();
  preparedOf.set(sqlite, all);
  const statement = all.get(sql) ?? sqlite.prepare(sql);
  all.delete(sql);
  all.set(sql, statement);
  for (const oldest of all.keys()) {
    if (all.size <= MOST_PREPARED) break;
    all.delete(oldest);
  }
  return statement;
}

const HEAD = headQuery(sqliteQueries);

export function readHead(sqlite: DatabaseSync): Head {
  const [head] = rows(sqlite, HEAD);
  return head === undefined ? GENESIS : { sequence: head.sequence, hash: head.hash };
}

export function readBase(sqlite: DatabaseSync): Head {
  const [base] = rows(sqlite, baseQuery(sqliteQueries));
  return base === undefined ? GENESIS : { sequence: base.sequence, hash: base.hash };
}

function readMoving(sqlite: DatabaseSync): string | undefined {
  return rows(sqlite, baseQuery(sqliteQueries))[0]?.moving ?? undefined;
}

/**
 * Puts a record and what is beside it into the tables.
 * @param before The record before it, if it was put there in the same transaction.
 */
export type RecordInsert = (record: AuditRecord, text: string, before?: AuditRecord) => void;

/** By position: SQLite looks for each of fifteen names among all of them, which takes longer than to put the row in. */
function prepareRow<Table extends keyof AuditTables>(
  sqlite: DatabaseSync,
  into: `${'insert' | 'insert or ignore'} into ${Table}`,
  columns: readonly (keyof AuditTables[Table] & string)[],
): (row: AuditTables[Table]) => void {
  const places = columns.map(() => '?');
  const statement = sqlite.prepare(`${into} (${columns.join(', ')}) values (${places.join(', ')})`);
  // Rows hold text, numbers and null.
  return (row) => void statement.run(...columns.map((column) => row[column] as SQLInputValue));
}

/** What `records` and `facets` have in common. */
const FACETS = [
  'sequence',
  'time',
  'actor_kind',
  'actor_name',
  'action',
  'outcome',
  'code',
  'mapping',
  'namespace',
  'secret',
] as const;

function prepareInsert(sqlite: DatabaseSync): RecordInsert {
  const insertRecord = prepareRow(sqlite, 'insert into records', [
    ...FACETS,
    'request_id',
    'fingerprint_before',
    'fingerprint_after',
    'hash',
    'record',
  ]);
  const insertSource = prepareRow(sqlite, 'insert into record_sources', [
    'sequence',
    'store',
    'key',
    'version',
  ]);
  const insertValue = prepareRow(sqlite, 'insert into record_values', ['sequence', 'fingerprint']);
  const openIntent = prepareRow(sqlite, 'insert into open_intents', [
    'sequence',
    'request_id',
    'namespace',
    'secret',
    'attempt',
    'replica',
  ]);
  const closeIntent = sqlite.prepare(
    'delete from open_intents where request_id = ? and namespace = ? and secret = ? and attempt = ?',
  );
  const insertFacet = prepareRow(sqlite, 'insert into facets', [...FACETS, 'store', 'state', 'review']);
  const widenSpan = sqlite.prepare(
    `insert into spans (block, since, until) values (:block, :time, :time)
     on conflict (block) do update set since = min(since, excluded.since), until = max(until, excluded.until)`,
  );
  const insertTarget = prepareRow(sqlite, 'insert or ignore into targets', ['namespace', 'secret']);
  const review = sqlite.prepare(
    'update facets set state = :state, review = :review where sequence = :sequence and state is not null',
  );

  const isInSpan = ({ sequence, time }: AuditRecord, before: AuditRecord | undefined): boolean =>
    before?.time === time && Math.floor(before.sequence / BLOCK) === Math.floor(sequence / BLOCK);

  return (record, text, before) => {
    const row = recordRow(record, text);
    insertRecord(row);
    const sources = sourceRows(record);
    for (const source of sources) insertSource(source);
    for (const value of valueRows(record)) insertValue(value);
    insertFacet(facetOf(row, sources));
    if (!isInSpan(record, before))
      widenSpan.run({ block: Math.floor(record.sequence / BLOCK), time: record.time });
    for (const target of targetRows([record])) insertTarget(target);
    if (record.phase === 'intent') {
      openIntent({ ...changeKey(record), sequence: record.sequence, replica: record.replica });
    } else if (record.phase === 'outcome') {
      const { request_id: request, namespace, secret, attempt } = changeKey(record);
      closeIntent.run(request, namespace, secret, attempt);
    }
    const reviewed = reviewChange(record);
    if (reviewed !== undefined) review.run({ ...reviewed });
  };
}

function moveHead(sqlite: DatabaseSync, { sequence, hash }: Head): void {
  prepared(
    sqlite,
    `insert into head (id, sequence, hash) values (1, ?, ?)
     on conflict (id) do update set sequence = excluded.sequence, hash = excluded.hash`,
  ).run(sequence, hash);
}

const REVIEW_SQL = {
  about: "case when json_valid(record) then record ->> '$.review.sequence' end",
  state: "case when json_valid(record) then record ->> '$.review.state' end",
};

/** Appends what `plainEntry` gave, within a transaction; statements are prepared once, since this is where speed counts. */
export type RecordWriter = (
  entries: readonly Entry[],
  circumstances: Circumstances,
) => readonly AuditRecord[];

export function prepareWriter(sqlite: DatabaseSync): RecordWriter {
  for (const leftover of leftovers(REVIEW_SQL)) sqlite.exec(leftover);
  const insert = prepareInsert(sqlite);
  const moving = sqlite.prepare('select moving from base where moving is not null');
  return (entries, circumstances) => {
    if (moving.get() !== undefined) throw because(MOVING);
    const head = readHead(sqlite);
    const records: AuditRecord[] = [];
    for (const entry of entries) {
      const before = records.at(-1);
      const { record, stored } = appendPlain(before ?? head, entry, circumstances);
      insert(record, stored.text, before);
      records.push(record);
    }
    moveHead(sqlite, records.at(-1) ?? head);
    return records;
  };
}

/** SQLite writes no page that stays as it is: so it is another one in between. */
export function touch(sqlite: DatabaseSync): void {
  if (readMoving(sqlite) !== undefined) throw because(MOVING);
  const head = readHead(sqlite);
  if (head.sequence === 0) return;
  moveHead(sqlite, { ...head, hash: GENESIS.hash });
  moveHead(sqlite, head);
}

/** Takes over what follows a head, as it is, within a transaction. An empty store may begin after any. */
export function takeOver(sqlite: DatabaseSync, records: Iterable<StoredRecord>, base: Head): void {
  const head = readHead(sqlite);
  if (head.sequence === 0) {
    sqlite.prepare('update base set sequence = ?, hash = ?').run(base.sequence, base.hash);
  } else if (head.hash !== base.hash) {
    throw because(NOT_ITS_HEAD);
  }
  const insert = prepareInsert(sqlite);
  let last = base;
  for (const { record, text } of linked(records, base)) {
    insert(record, text);
    last = record;
  }
  moveHead(sqlite, last);
}
