import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { auditUnavailable } from '../errors.ts';
import {
  type AuditDatabase,
  type Change,
  type Insertion,
  insertionsOf,
  type Query,
} from '../records/database.ts';
import { baseQuery, headQuery } from '../records/queries.ts';
import type { Sql } from '../records/sql.ts';
import { inTransaction, type SqliteFile } from './file.ts';
import { sqliteDialect } from './schema.ts';

/** @param use Runs each operation. After the store was closed, it throws instead. */
export function createSqliteDatabase(
  file: SqliteFile,
  use: <T>(work: () => Promise<T>) => Promise<T>,
): AuditDatabase {
  const query: Query = (text) => use(() => file.read((db) => rows(db, text)));
  return {
    dialect: sqliteDialect,
    query,
    queryBatched: query,
    snapshot: (work) =>
      use(() => file.read((db) => inTransaction(db, 'begin', () => work(async (text) => rows(db, text))))),
    transact: (work) =>
      use(() =>
        file.write((db) => {
          const [head] = rows(db, headQuery);
          if (head === undefined) throw auditUnavailable('its head is missing: it was changed from outside');
          const moving = rows(db, baseQuery)[0]?.moving ?? null;
          return work(
            { query: async (text) => rows(db, text), change: async (change) => applyChange(db, change) },
            { head, moving },
          );
        }),
      ),
  };
}

/**
 * The maximum number of cached statements. SQL texts contain no values, so most queries share a few texts. Only
 * combined searches may have many different ones.
 */
const MAX_PREPARED = 64;
const preparedStatements = new WeakMap<DatabaseSync, Map<string, StatementSync>>();

/**
 * Returns a cached prepared statement, because preparing a statement usually takes longer than running it. If the cache
 * is full, evicts the statement that was not used for the longest time.
 */
function prepared(db: DatabaseSync, text: string): StatementSync {
  const all = preparedStatements.get(db) ?? new Map<string, StatementSync>();
  preparedStatements.set(db, all);
  const statement = all.get(text) ?? db.prepare(text);
  all.delete(text);
  all.set(text, statement);
  for (const oldest of all.keys()) {
    if (all.size <= MAX_PREPARED) break;
    all.delete(oldest);
  }
  return statement;
}

/**
 * SQLite checks the types of the columns, because our tables are strict. So the rows have the type that the query
 * declares.
 */
function rows<Row>(db: DatabaseSync, { text, values }: Sql<Row>): readonly Row[] {
  return prepared(db, text).all(...values) as unknown as readonly Row[];
}

function applyChange(db: DatabaseSync, { rows: added, closed = [], head }: Change): void {
  // Close intents before others are inserted, because an intent after an outcome of the same change stays open.
  if (closed.length > 0) {
    const close = prepared(
      db,
      'delete from open_intents where request_id = ? and namespace = ? and secret = ? and attempt = ?',
    );
    for (const { request_id, namespace, secret, attempt } of closed)
      close.run(request_id, namespace, secret, attempt);
  }
  for (const insertion of insertionsOf(added)) insert(db, insertion);
  if (head !== undefined)
    prepared(db, 'update head set sequence = ?, hash = ?').run(head.sequence, head.hash);
}

/**
 * Inserts rows. Parameters are bound by position, because binding thirteen names in SQLite takes longer than inserting
 * the row.
 */
function insert(db: DatabaseSync, { table, columns, rows: added, onConflict }: Insertion): void {
  const placeholders = columns.map(() => '?').join(', ');
  const statement = prepared(
    db,
    `insert into ${table} (${columns.join(', ')}) values (${placeholders}) ${onConflict}`,
  );
  for (const row of added) {
    const values = row as Readonly<Record<string, SQLInputValue>>;
    statement.run(...columns.map((column) => values[column] ?? null));
  }
}
