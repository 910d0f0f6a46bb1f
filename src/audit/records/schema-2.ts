import { BLOCK, SEVERAL_STORES, TARGET_CHANGES } from './tables.ts';

/**
 * Schema 2 as SQL for both databases. `records` and `record_sources` keep their columns, so that programs of schema 1
 * can still read and verify the store. In PostgreSQL, triggers fill the search tables. So replicas of the old release
 * leave no gaps in them during a rolling update.
 */
export interface Dialect {
  readonly integer: string;
  readonly text: string;
  /** The suffixes of table definitions: `table` in general, and `index` for a table that consists only of its key. */
  readonly table: string;
  readonly index: string;
}

export const TARGET_CHANGES_SQL = TARGET_CHANGES.map((action) => `'${action}'`).join(', ');

const ZERO_HASH = '0'.repeat(64);

/** Selects the facets of rows of `records`, without reviews. */
export const FACETS_OF_RECORDS = `sequence, time, actor_kind, actor_name, action, outcome, code, mapping, namespace,
  secret, (select case when min(store) < max(store) then '${SEVERAL_STORES}' else min(store) end from record_sources
    where record_sources.sequence = records.sequence),
  case when action <> 'review' then 'unreviewed' end, null`;

export const SPANS_OF_RECORDS = `sequence / ${BLOCK}, min(time), max(time)`;

export function tablesOfSchema2({ integer, text, table, index }: Dialect): string {
  return `create table base (
      id int primary key check (id = 1),
      sequence ${integer} not null,
      hash ${text} not null,
      moving ${text}
    )${table};
    insert into base values (1, 0, '${ZERO_HASH}', null);
    create table targets (
      namespace ${text} not null,
      secret ${text} not null,
      primary key (namespace, secret)
    )${table};
    insert into targets select distinct coalesce(namespace, ''), secret from records
      where secret is not null and action in (${TARGET_CHANGES_SQL});
    create table facets (
      sequence ${integer} primary key,
      time ${text} not null,
      actor_kind ${text} not null,
      actor_name ${text},
      action ${text} not null,
      outcome ${text} not null,
      code ${text},
      mapping ${text},
      namespace ${text},
      secret ${text},
      store ${text},
      state ${text},
      review ${integer}
    )${table};
    insert into facets select ${FACETS_OF_RECORDS} from records;
    create index facets_by_state on facets (state, sequence) where state is not null;
    create index facets_by_review on facets (review) where review is not null;
    create table record_values (
      sequence ${integer} not null,
      fingerprint ${text} not null,
      primary key (fingerprint, sequence)
    )${index};
    create index record_values_by_sequence on record_values (sequence);
    create table spans (
      block ${integer} primary key,
      since ${text} not null,
      until ${text} not null
    )${table};
    insert into spans select ${SPANS_OF_RECORDS} from records group by 1;
    create table kept (
      slot ${text} primary key,
      sequence ${integer} not null,
      time ${text} not null,
      actor_kind ${text} not null,
      actor_name ${text},
      request_id ${text} not null,
      action ${text} not null,
      outcome ${text} not null,
      code ${text},
      mapping ${text},
      namespace ${text},
      secret ${text},
      fingerprint_before ${text},
      fingerprint_after ${text},
      hash ${text} not null,
      record ${text} not null
    )${table};
    create unique index kept_by_sequence on kept (sequence);
    create index kept_by_target on kept (secret, namespace, sequence);
    create table kept_sources (
      sequence ${integer} not null,
      store ${text} not null,
      key ${text} not null,
      version ${text} not null
    )${table};
    create index kept_sources_by_sequence on kept_sources (sequence);
    create index kept_sources_by_key on kept_sources (key, sequence);
    create table kept_values (
      sequence ${integer} not null,
      fingerprint ${text} not null,
      primary key (fingerprint, sequence)
    )${index};
    create index kept_values_by_sequence on kept_values (sequence);`;
}

/**
 * A prefix for queries on a store of schema 1, which only readers encounter. It defines the tables of schema 2 as
 * subqueries.
 */
export const SCHEMA_2_PREFIX = `with base (id, sequence, hash, moving) as (select 1, 0, '${ZERO_HASH}', cast(null as text)),
  targets (namespace, secret) as (select distinct coalesce(namespace, ''), secret from records
    where secret is not null and action in (${TARGET_CHANGES_SQL})),
  facets (sequence, time, actor_kind, actor_name, action, outcome, code, mapping, namespace, secret, store, state,
    review) as (select ${FACETS_OF_RECORDS.replace(/null$/, '0')} from records),
  spans (block, since, until) as (select ${SPANS_OF_RECORDS} from records group by 1),
  kept as (select '' as slot, records.* from records where 1 = 0),
  kept_sources as (select * from record_sources where 1 = 0),
  record_values (sequence, fingerprint) as (select 0, '' where 1 = 0),
  kept_values (sequence, fingerprint) as (select 0, '' where 1 = 0) `;
