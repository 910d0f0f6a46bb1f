import type { CompiledQuery } from 'kysely';
import { DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely';
import { append, type Circumstances, type Head } from './chain.ts';
import type { AuditRecord, Entry } from './entry.ts';
import type { Session } from './postgres-session.ts';
import { type AuditTables, type ChangeKey, changeKey, recordRow, sourceRows } from './tables.ts';

// Builds SQL only: which connection a query runs on, and what becomes of it when that is lost, is decided by us.
export const postgresQueries = new Kysely<AuditTables>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (kysely) => new PostgresIntrospector(kysely),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});

export async function rows<Row>(
  session: Session,
  query: CompiledQuery<Row>,
  timeoutMs?: number,
): Promise<readonly Row[]> {
  // The columns have the types of `AuditTables`.
  return (await session.query(query.sql, query.parameters, timeoutMs)) as readonly Row[];
}

export interface Batch {
  readonly records: readonly AuditRecord[];
  /** One parameter for `INSERT`: JSON keeps any text exactly. */
  readonly rows: string;
}

/** The entries as they follow the head, and what goes into the tables for them. */
export function batchOf(entries: readonly Entry[], from: Head, circumstances: Circumstances): Batch {
  const records: AuditRecord[] = [];
  const rowsOf: ReturnType<typeof recordRow>[] = [];
  let opened: (ChangeKey & { readonly sequence: number; readonly replica: string })[] = [];
  const closed: ChangeKey[] = [];
  let head = from;
  for (const entry of entries) {
    const { record, stored } = append(head, entry, circumstances);
    records.push(record);
    rowsOf.push(recordRow(record, stored.text));
    const key = changeKey(record);
    if (record.phase === 'intent')
      opened.push({ ...key, sequence: record.sequence, replica: record.replica });
    if (record.phase === 'outcome') {
      // One statement does it all, and sees nothing of what it inserts itself.
      opened = opened.filter((intent) => !isSameChange(intent, key));
      closed.push(key);
    }
    head = record;
  }
  return {
    records,
    rows: JSON.stringify({ records: rowsOf, sources: records.flatMap(sourceRows), opened, closed }),
  };
}

function isSameChange(a: ChangeKey, b: ChangeKey): boolean {
  return (
    a.request_id === b.request_id &&
    a.namespace === b.namespace &&
    a.secret === b.secret &&
    a.attempt === b.attempt
  );
}

/** $1: the rows of a batch; $2 and $3: the new head. */
export const INSERT = `
  with batch as (select $1::json as it),
  new_records as (
    insert into records (sequence, time, actor_kind, actor_name, request_id, action, outcome, code, mapping,
        namespace, secret, fingerprint_before, fingerprint_after, hash, record)
    select sequence, time, actor_kind, actor_name, request_id, action, outcome, code, mapping,
        namespace, secret, fingerprint_before, fingerprint_after, hash, record
    from batch, json_populate_recordset(null::records, it->'records')
  ),
  new_sources as (
    insert into record_sources (sequence, store, key, version)
    select sequence, store, key, version
    from batch, json_populate_recordset(null::record_sources, it->'sources')
  ),
  new_intents as (
    insert into open_intents (sequence, request_id, namespace, secret, attempt, replica)
    select sequence, request_id, namespace, secret, attempt, replica
    from batch, json_populate_recordset(null::open_intents, it->'opened')
  ),
  ended_intents as (
    delete from open_intents o
    using batch, json_populate_recordset(null::open_intents, it->'closed') c
    where o.request_id = c.request_id and o.namespace = c.namespace and o.secret = c.secret
      and o.attempt = c.attempt
  )
  update head set sequence = $2, hash = $3 where id = 1`;

/**
 * Intents without an outcome whose replica has ended: it said so, or it holds its lock no more and the intent is
 * older than any write to the cluster can be ($1 in milliseconds, by the clock of the server). A list of the keys
 * of the replicas in question is made by us, since SHA-256 of a name is no expression of PostgreSQL 13.
 */
export const OPEN_INTENTS = `
  select r.record, r.hash, o.replica,
    o.left_behind or o.since < clock_timestamp() - $1 * interval '1 millisecond' as old, o.left_behind
  from open_intents o join records r on r.sequence = o.sequence
  order by o.sequence`;

export interface OpenIntent {
  readonly record: string;
  readonly hash: string;
  readonly replica: string;
  readonly old: boolean;
  readonly left_behind: boolean;
}

/** The keys among $1 that some connection holds. */
export const HELD_KEYS = `
  select key::text from unnest($1::bigint[]) as key where exists (
    select from pg_locks where locktype = 'advisory' and granted and objsubid = 1
      and database = (select oid from pg_database where datname = current_database())
      and classid = ((key >> 32) & 4294967295)::oid and objid = (key & 4294967295)::oid)`;

export const LEAVE_BEHIND = 'update open_intents set left_behind = true where replica = $1';
