import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { appendSanitized, GENESIS, type Head, type RecordContext, type StoredRecord } from '../chain.ts';
import type { AuditRecord, Entry } from '../entry.ts';
import { auditUnavailable } from '../errors.ts';
import { HEAD_MISMATCH, linkedRecords, MOVE_IN_PROGRESS } from '../move/movable-audit.ts';
import { baseQuery, headQuery } from '../records/queries.ts';
import { reviewChange } from '../records/reviews.ts';
import { SCHEMA_2_PREFIX } from '../records/schema-2.ts';
import {
  type AuditTables,
  BLOCK,
  changeKey,
  facetOf,
  orphanCleanup,
  recordRow,
  sourceRows,
  targetRows,
  valueRows,
} from '../records/tables.ts';
import { version } from './migrations.ts';

// Kysely only builds SQL here. node:sqlite is synchronous, so no other query of this process can run inside a
// transaction. An asynchronous driver could not guarantee that.
export const sqliteQueries = new Kysely<AuditTables>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
});

export function rows<Row>(sqlite: DatabaseSync, query: CompiledQuery<Row>): Row[] {
  // Our parameters are texts, numbers and nulls. Our tables are strict, so the rows have the types of `AuditTables`.
  const parameters = query.parameters as readonly SQLInputValue[];
  // Only readers encounter an older schema. Another process may migrate the file at any time.
  const sql = isOfSchema1(sqlite) ? SCHEMA_2_PREFIX + query.sql : query.sql;
  return prepared(sqlite, sql).all(...parameters) as unknown as Row[];
}

const migrated = new WeakSet<DatabaseSync>();

/** The schema version never decreases, so a result of 2 or higher is cached. */
function isOfSchema1(sqlite: DatabaseSync): boolean {
  if (migrated.has(sqlite)) return false;
  if (version(sqlite) < 2) return true;
  migrated.add(sqlite);
  return false;
}

/** SQL texts contain no values, so there are few different ones. Combined searches may produce many. */
const MAX_PREPARED = 64;
const preparedStatements = new WeakMap<DatabaseSync, Map<string, StatementSync>>();

/**
 * Returns a cached prepared statement, because preparing a statement takes longer than running most of them. Evicts the
 * least recently used one.
 */
function prepared(sqlite: DatabaseSync, sql: string): StatementSync {
  const all = preparedStatements.get(sqlite) ?? new Map<string, StatementSync>();
  preparedStatements.set(sqlite, all);
  const statement = all.get(sql) ?? sqlite.prepare(sql);
  all.delete(sql);
  all.set(sql, statement);
  for (const oldest of all.keys()) {
    if (all.size <= MAX_PREPARED) break;
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

function readMoveSource(sqlite: DatabaseSync): string | undefined {
  return rows(sqlite, baseQuery(sqliteQueries))[0]?.moving ?? undefined;
}

/**
 * Inserts a record and its search rows.
 * @param before The previous record, if it was inserted in the same transaction.
 */
export type RecordInsert = (record: AuditRecord, text: string, before?: AuditRecord) => void;

/** Parameters are bound by position. Binding fifteen names in SQLite takes longer than inserting the row. */
function prepareRow<Table extends keyof AuditTables>(
  sqlite: DatabaseSync,
  into: `${'insert' | 'insert or ignore'} into ${Table}`,
  columns: readonly (keyof AuditTables[Table] & string)[],
): (row: AuditTables[Table]) => void {
  const placeholders = columns.map(() => '?');
  const statement = sqlite.prepare(`${into} (${columns.join(', ')}) values (${placeholders.join(', ')})`);
  // Rows contain only texts, numbers and nulls.
  return (row) => void statement.run(...columns.map((column) => row[column] as SQLInputValue));
}

/** The columns that `records` and `facets` have in common. */
const FACET_COLUMNS = [
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
    ...FACET_COLUMNS,
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
  const insertFacet = prepareRow(sqlite, 'insert into facets', [
    ...FACET_COLUMNS,
    'store',
    'state',
    'review',
  ]);
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

function updateHead(sqlite: DatabaseSync, { sequence, hash }: Head): void {
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

/** Appends sanitized entries within a transaction. Statements are prepared once for speed. */
export type RecordWriter = (
  entries: readonly Entry[],
  circumstances: RecordContext,
) => readonly AuditRecord[];

export function prepareWriter(sqlite: DatabaseSync): RecordWriter {
  for (const statement of orphanCleanup(REVIEW_SQL)) sqlite.exec(statement);
  const insert = prepareInsert(sqlite);
  const moving = sqlite.prepare('select moving from base where moving is not null');
  return (entries, circumstances) => {
    if (moving.get() !== undefined) throw auditUnavailable(MOVE_IN_PROGRESS);
    const head = readHead(sqlite);
    const records: AuditRecord[] = [];
    for (const entry of entries) {
      const before = records.at(-1);
      const { record, stored } = appendSanitized(before ?? head, entry, circumstances);
      insert(record, stored.text, before);
      records.push(record);
    }
    updateHead(sqlite, records.at(-1) ?? head);
    return records;
  };
}

/** Checks that the file can be written. SQLite skips unchanged pages, so the head is changed and then restored. */
export function rewriteHead(sqlite: DatabaseSync): void {
  if (readMoveSource(sqlite) !== undefined) throw auditUnavailable(MOVE_IN_PROGRESS);
  const head = readHead(sqlite);
  if (head.sequence === 0) return;
  updateHead(sqlite, { ...head, hash: GENESIS.hash });
  updateHead(sqlite, head);
}

/** Imports records unchanged and appends them to the chain, within a transaction. An empty store accepts any base. */
export function importRecords(sqlite: DatabaseSync, records: Iterable<StoredRecord>, base: Head): void {
  const head = readHead(sqlite);
  if (head.sequence === 0) {
    sqlite.prepare('update base set sequence = ?, hash = ?').run(base.sequence, base.hash);
  } else if (head.hash !== base.hash) {
    throw auditUnavailable(HEAD_MISMATCH);
  }
  const insert = prepareInsert(sqlite);
  let last = base;
  for (const { record, text } of linkedRecords(records, base)) {
    insert(record, text);
    last = record;
  }
  updateHead(sqlite, last);
}
