import {
  type Change,
  type Dialect,
  insertionsOf,
  type Query,
  type Transaction,
} from '../records/database.ts';
import { openIntentsQuery, type RecordText } from '../records/queries.ts';
import { joined, NOTHING, raw, type Sql, sql } from '../records/sql.ts';
import { replicaKey } from './locks.ts';
import type { Session } from './session.ts';

/** Larger than all sequence numbers. */
const END = raw(String(Number.MAX_SAFE_INTEGER));

export const postgresDialect: Dialect = {
  using: () => NOTHING,
  // Without fresh statistics, the server would prefer the index of the stores, and read all records of a store.
  unindexed: (column) => sql`(${column} || '')`,
  // Compare whole rows, and order by all columns. Only the index of these columns has this order. If the values were
  // compared one by one, the server would order by `sequence` alone. With outdated statistics, it would then often read
  // the records of all targets, newest first.
  inIndexOrder(columns, { column, after, before = END }) {
    const names = [...columns.map((equal) => equal.column), column];
    const rowOf = (end: Sql) => sql`(${joined([...columns.map(({ value }) => sql`${value}`), end], ', ')})`;
    const row = sql`(${joined(names, ', ')})`;
    return {
      condition: sql`${row} > ${rowOf(after)} and ${row} < ${rowOf(before)}`,
      newestFirst: joined(
        names.map((name) => sql`${name} desc`),
        ', ',
      ),
      oldestFirst: joined(names, ', '),
    };
  },
  withFingerprint: (fingerprint, { after, before }) =>
    sql`select sequence from record_fingerprints
      where fingerprint = ${fingerprint} and sequence > ${after} and sequence < ${before}`,
  // The imported intents come from processes that do not write to this store. So these intents are marked as abandoned.
  afterImport: sql`update open_intents set left_behind = true`,
};

/** Replaces each `?` with a numbered parameter: `$1`, `$2` and so on. */
export function numbered(text: string): string {
  let count = 0;
  return text.replaceAll('?', () => {
    count += 1;
    return `$${count}`;
  });
}

export function queryOf(session: Session, timeoutMs?: number): Query {
  // The type parameter of the query declares the type of its rows.
  return async <Row>({ text, values }: Sql<Row>) =>
    (await session.query(numbered(text), values, timeoutMs)) as readonly Row[];
}

export function transactionOf(session: Session): Transaction {
  return {
    query: queryOf(session),
    change: async (change) => {
      const [text, values] = changeStatement(change);
      await session.query(text, values, undefined, true);
    },
  };
}

/**
 * Builds one statement for all rows, because each statement costs a round trip to the server. The rows of each table are
 * one JSON text, which preserves any text exactly. The statement depends only on the set of tables, so the server plans
 * it once.
 */
function changeStatement({ rows, closed = [], head }: Change): readonly [string, readonly unknown[]] {
  const values: unknown[] = [];
  const parameter = (value: unknown): string => `$${values.push(value)}`;
  const parts = insertionsOf(rows).map(({ table, columns, onConflict, rows: added }) => {
    const names = columns.join(', ');
    return `new_${table} as (
      insert into ${table} (${names}) select ${names}
      from json_populate_recordset(null::${table}, ${parameter(JSON.stringify(added))}::json) ${onConflict}
    )`;
  });
  if (closed.length > 0)
    parts.push(`closed as (
      delete from open_intents o
      using json_populate_recordset(null::open_intents, ${parameter(JSON.stringify(closed))}::json) c
      where o.request_id = c.request_id and o.namespace = c.namespace and o.secret = c.secret
        and o.attempt = c.attempt
    )`);
  const main =
    head === undefined
      ? 'select'
      : `update head set sequence = ${parameter(head.sequence)}, hash = ${parameter(head.hash)} where id = 1`;
  return [`${parts.length === 0 ? '' : `with ${parts.join(', ')} `}${main}`, values];
}

interface OpenIntent extends RecordText {
  readonly replica: string;
  readonly is_old: boolean;
  readonly left_behind: boolean;
}

/** Selects, from the lock keys in `$1`, the keys whose lock any connection holds. */
const HELD_KEYS = `
  select key::text from unnest($1::bigint[]) as key where exists (
    select from pg_locks where locktype = 'advisory' and granted and objsubid = 1
      and database = (select oid from pg_database where datname = current_database())
      and classid = ((key >> 32) & 4294967295)::oid and objid = (key & 4294967295)::oid)`;

/**
 * Finds the intents without an outcome, and whether their replicas have ended. A replica may lose its connection during
 * a write to the cluster, and its lock ends with the connection. So a missing lock alone is not enough: an intent
 * counts as abandoned only if it is also older than the longest possible write, by the server's clock. After that time
 * the write is over, and the cluster shows its result. If a replica shuts down cleanly, it marks its intents, so they
 * count as abandoned immediately.
 */
export async function openIntents(
  session: Session,
  maxWriteDurationMs: number,
  timeoutMs: number,
): Promise<readonly (OpenIntent & { readonly abandoned: boolean })[]> {
  const columns = sql`, left_behind, left_behind
    or since < clock_timestamp() - ${maxWriteDurationMs} * interval '1 millisecond' as is_old`;
  const open = await queryOf(session, timeoutMs)(openIntentsQuery<OpenIntent>(columns));
  // The lock keys are computed in this process, because PostgreSQL 13 has no SHA-256 function for text.
  const keys = [...new Set(open.filter((row) => row.is_old).map(({ replica }) => replicaKey(replica)))];
  const held = (await session.query(HELD_KEYS, [keys])) as readonly { readonly key: string }[];
  const alive = new Set(held.map(({ key }) => key));
  return open.map((row) => {
    const { is_old: isOld, left_behind: isAbandoned, replica } = row;
    return { ...row, abandoned: isOld && (isAbandoned || !alive.has(replicaKey(replica))) };
  });
}

export const ABANDON_INTENTS = 'update open_intents set left_behind = true where replica = $1';

/**
 * Counts the write connections by their locks. Each write connection holds the lock of its replica as a shared lock,
 * and our other locks are not shared.
 */
export const COUNT_WRITERS = `
  select count(*) from pg_locks join pg_stat_activity using (pid) where locktype = 'advisory' and granted
    and mode = 'ShareLock' and objsubid = 1 and pg_locks.database = (
      select oid from pg_database where datname = current_database()
    ) and application_name like 'secretbridge %'`;
