import type { CompiledQuery } from 'kysely';
import { DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely';
import { appendSanitized, type Head, type RecordContext } from '../chain.ts';
import type { AuditRecord, Entry } from '../entry.ts';
import { type ReviewChange, reviewChange } from '../records/reviews.ts';
import {
  type AuditTables,
  type ChangeKey,
  changeKey,
  recordRow,
  sourceRows,
  valueRows,
} from '../records/tables.ts';
import type { Session } from './session.ts';

// Kysely only builds SQL here. Connections and their loss are handled in `session.ts` and `writer.ts`.
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
  // The selected columns have the types of `AuditTables`.
  return (await session.query(query.sql, query.parameters, timeoutMs)) as readonly Row[];
}

export interface Batch {
  readonly records: readonly AuditRecord[];
  /** The parameter of `INSERT`, as JSON, which preserves any text exactly. */
  readonly rows: string;
  /** The parameter of `REVIEW`. Undefined if the batch contains no reviews. */
  readonly reviews: string | undefined;
}

/** Builds the records that follow the head from the entries, together with their rows. */
export function batchOf(entries: readonly Entry[], from: Head, circumstances: RecordContext): Batch {
  let head = from;
  const appended = entries.map((entry) => {
    const { record, stored } = appendSanitized(head, entry, circumstances);
    head = record;
    return { record, text: stored.text };
  });
  return batchOfRecords(appended);
}

/** Builds the batch for existing records, in their order. */
export function batchOfRecords(
  appended: readonly { readonly record: AuditRecord; readonly text: string }[],
): Batch {
  let opened: (ChangeKey & { readonly sequence: number; readonly replica: string })[] = [];
  const closed: ChangeKey[] = [];
  const reviews = new Map<number, ReviewChange>();
  for (const { record } of appended) {
    const key = changeKey(record);
    if (record.phase === 'intent')
      opened.push({ ...key, sequence: record.sequence, replica: record.replica });
    if (record.phase === 'outcome') {
      // `INSERT` is a single statement that cannot see its own rows. So an intent whose outcome is in the same batch is
      // not inserted.
      opened = opened.filter((intent) => !isSameChange(intent, key));
      closed.push(key);
    }
    const review = reviewChange(record);
    if (review !== undefined) reviews.set(review.sequence, review);
  }
  const records = appended.map(({ record }) => record);
  const recordRows = appended.map(({ record, text }) => recordRow(record, text));
  return {
    records,
    rows: JSON.stringify({
      records: recordRows,
      sources: records.flatMap(sourceRows),
      values: records.flatMap(valueRows),
      opened,
      closed,
    }),
    reviews: reviews.size === 0 ? undefined : JSON.stringify([...reviews.values()]),
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
  with batch as (select $1::json as data),
  new_records as (
    insert into records (sequence, time, actor_kind, actor_name, request_id, action, outcome, code, mapping,
        namespace, secret, fingerprint_before, fingerprint_after, hash, record)
    select sequence, time, actor_kind, actor_name, request_id, action, outcome, code, mapping,
        namespace, secret, fingerprint_before, fingerprint_after, hash, record
    from batch, json_populate_recordset(null::records, data->'records')
  ),
  new_sources as (
    insert into record_sources (sequence, store, key, version)
    select sequence, store, key, version
    from batch, json_populate_recordset(null::record_sources, data->'sources')
  ),
  new_values as (
    insert into record_values (sequence, fingerprint)
    select sequence, fingerprint from batch, json_populate_recordset(null::record_values, data->'values')
  ),
  new_intents as (
    insert into open_intents (sequence, request_id, namespace, secret, attempt, replica)
    select sequence, request_id, namespace, secret, attempt, replica
    from batch, json_populate_recordset(null::open_intents, data->'opened')
  ),
  ended_intents as (
    delete from open_intents o
    using batch, json_populate_recordset(null::open_intents, data->'closed') c
    where o.request_id = c.request_id and o.namespace = c.namespace and o.secret = c.secret
      and o.attempt = c.attempt
  )
  update head set sequence = $2, hash = $3 where id = 1`;

/**
 * $1: the last review of each record in the batch. Runs after `INSERT`, because a batch may contain both a record and
 * its review.
 */
export const REVIEW = `
  update facets set state = new.state, review = new.review
  from json_populate_recordset(null::facets, $1::json) new
  where facets.sequence = new.sequence and facets.state is not null`;

/**
 * Selects the intents without an outcome. `old` is true if the replica marked the intent at shutdown, or if the intent
 * is older than any possible write to the cluster. This age is $1, in milliseconds by the server's clock. The caller
 * computes the lock keys of the replicas, because PostgreSQL 13 has no SHA-256 expression for text.
 */
export const OPEN_INTENTS = `
  select r.record, r.hash, o.replica,
    o.left_behind or o.since < clock_timestamp() - $1 * interval '1 millisecond' as old, o.left_behind
  from open_intents o join (
    select sequence, record, hash from records where sequence > (select sequence from base)
    union all select sequence, record, hash from kept
  ) r on r.sequence = o.sequence
  order by o.sequence`;

export interface OpenIntent {
  readonly record: string;
  readonly hash: string;
  readonly replica: string;
  readonly old: boolean;
  readonly left_behind: boolean;
}

/** Selects the keys of $1 that any connection holds. */
export const HELD_KEYS = `
  select key::text from unnest($1::bigint[]) as key where exists (
    select from pg_locks where locktype = 'advisory' and granted and objsubid = 1
      and database = (select oid from pg_database where datname = current_database())
      and classid = ((key >> 32) & 4294967295)::oid and objid = (key & 4294967295)::oid)`;

/**
 * Extracts the fields of a review (`orphanCleanup`). Quotation marks in a note are escaped, so the patterns match only
 * the real member.
 */
export const REVIEW_SQL = {
  about: `cast(substring(record from '"review":\\{"sequence":([0-9]{1,15}),') as bigint)`,
  state: `substring(record from '"review":\\{"sequence":[0-9]{1,15},"state":"([a-z]+)"\\}')`,
};

export const ABANDON_INTENTS = 'update open_intents set left_behind = true where replica = $1';

/**
 * Counts the write connections. Each write connection holds its replica's lock, and no other lock of ours is shared.
 */
export const COUNT_WRITERS = `
  select count(*) from pg_locks join pg_stat_activity using (pid) where locktype = 'advisory' and granted
    and mode = 'ShareLock' and objsubid = 1 and pg_locks.database = (
      select oid from pg_database where datname = current_database()
    ) and application_name like 'secretbridge %'`;
