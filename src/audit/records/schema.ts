import { GENESIS } from '../chain.ts';
import type { Action } from '../entry.ts';
import { NOTABLE_ACTIONS } from '../record-index.ts';

/**
 * The version of the schema. Stores with any other version are refused. Versions 1 to 7 were never released.
 */
export const SCHEMA_VERSION = 8;

/**
 * Returns the condition of the index `records_by_attention`, the same as `needsAttention`. A query must contain the same
 * condition to use the index.
 */
export function attentionCondition(table = ''): string {
  const actions = NOTABLE_ACTIONS.map((action) => `'${action}'`).join(', ');
  return `(${table}outcome <> 'ok' or ${table}action in (${actions}))`;
}

/** Most records have these actions, so an index of them would be as large as all records. */
export const FREQUENT_ACTIONS = ['read', 'sweep', 'update'] as const satisfies readonly Action[];

/** Returns the condition of the index `records_by_action`. A query must contain the same condition to use the index. */
export function rareActionCondition(table = ''): string {
  return `${table}action not in (${FREQUENT_ACTIONS.map((action) => `'${action}'`).join(', ')})`;
}

/** The parts of a table definition that differ between the two databases. */
export interface TableSyntax {
  readonly integer: string;
  readonly text: string;
  /** The ends of table definitions: `index` for a table that consists only of its key, and `table` for all others. */
  readonly table: string;
  readonly index: string;
  /** The end of the definition of the table `head`, whose only row changes with every write. */
  readonly head: string;
  /** Additional columns of `open_intents`. */
  readonly intentColumns: string;
  /** The columns of the index of `record_fingerprints`. */
  readonly fingerprintIndex: string;
}

/**
 * The tables and indexes of a store. Each index serves one way to find records (`search.ts`). Measured in SQLite with
 * 1,000,000 records, in milliseconds of CPU:
 * - `records_by_columns`: a search without results takes 65 ms with this index. It would take 560 ms if it read the
 *   records themselves, and 100 ms if it read a table with a copy of these columns. With one index for each column, some
 *   searches took more than 2 s, because the database chose a bad index.
 * - `records_by_person`, `records_by_action` and `records_by_attention` contain a small part of the records. A page takes
 *   1 to 10 ms with one of them, and about 80 ms with `records_by_columns`.
 * - `spans`: finds the records of a given time range in less than 1 ms. An index of all times would be 33 MB large, and
 *   each page of an export would take 50 ms.
 */
export function tablesOf(syntax: TableSyntax): string {
  return [
    recordTables(syntax),
    searchTables(syntax),
    summaryTables(syntax),
    stateTables(syntax),
    retainedTables(syntax),
  ].join('\n');
}

function recordTables({ integer, text, table }: TableSyntax): string {
  return `create table records (sequence ${integer} primary key, ${recordColumns(text)})${table};
    create index records_by_columns on records
      (sequence, time, actor_kind, actor_name, action, outcome, code, mapping, namespace, secret);
    create index records_by_request on records (request_id, sequence);
    create index records_by_target on records (secret, namespace, sequence, action, outcome, code, mapping)
      where secret is not null;
    create index records_by_mapping on records (mapping, sequence, action, outcome, code) where mapping is not null;
    create index records_by_person on records (actor_name, sequence, time, action, outcome, code, namespace)
      where actor_name is not null;
    create index records_by_attention on records (sequence, time, action, outcome, code, namespace)
      where ${attentionCondition()};
    create index records_by_action on records (action, sequence, time, outcome, code, namespace)
      where ${rareActionCondition()};`;
}

function recordColumns(text: string): string {
  return `time ${text} not null,
      actor_kind ${text} not null,
      actor_name ${text},
      request_id ${text} not null,
      action ${text} not null,
      outcome ${text} not null,
      code ${text},
      mapping ${text},
      namespace ${text},
      secret ${text},
      hash ${text} not null,
      record ${text} not null`;
}

function sourceColumns({ integer, text }: TableSyntax): string {
  return `sequence ${integer} not null,
      store ${text} not null,
      key ${text} not null,
      version ${text} not null,
      action ${text} not null,
      primary key (sequence, store, key, version)`;
}

function searchTables(syntax: TableSyntax): string {
  const { integer, text, table, index, fingerprintIndex } = syntax;
  return `create table record_sources (${sourceColumns(syntax)})${index};
    create index record_sources_by_store on record_sources (store, sequence);
    create index record_sources_by_key on record_sources (key, sequence, action, store, version);
    create table record_fingerprints (sequence ${integer} not null, fingerprint ${text} not null)${table};
    create index record_fingerprints_by_sequence on record_fingerprints (sequence);
    create index record_fingerprints_by_value on record_fingerprints (${fingerprintIndex});
    create table record_reviews (
      sequence ${integer} primary key,
      state ${text} not null,
      review ${integer} not null
    )${table};
    create index record_reviews_by_state on record_reviews (state, sequence);
    create index record_reviews_by_review on record_reviews (review);
    create table spans (block ${integer} primary key, since ${text} not null, until ${text} not null)${table};`;
}

/** Returns the tables of `summary-rows.ts`. They grow with the number of names and hours, not of records. */
function summaryTables({ integer, text, table, index }: TableSyntax): string {
  return `create table record_notes (
      sequence ${integer} primary key,
      about ${integer} not null,
      note ${text} not null
    )${table};
    create table people (
      name ${text} not null,
      namespace ${text} not null,
      primary key (name, namespace)
    )${index};
    create table source_versions (
      store ${text} not null,
      key ${text} not null,
      version ${text} not null,
      since ${text} not null,
      sequence ${integer} not null,
      primary key (store, key)
    )${table};
    create table record_counts (
      hour ${integer} not null,
      namespace ${text} not null,
      changes ${integer} not null,
      failures ${integer} not null,
      refusals ${integer} not null,
      held ${integer} not null,
      primary key (hour, namespace)
    )${index};`;
}

/**
 * Returns the tables with the state of the store: targets, each instance's last configuration, intents
 * without an outcome, and both ends of the chain.
 */
function stateTables({ integer, text, table, index, head, intentColumns }: TableSyntax): string {
  return `create table targets (
      namespace ${text} not null,
      secret ${text} not null,
      primary key (namespace, secret)
    )${index};
    create table configurations (
      instance ${text} not null,
      part ${text} not null,
      content ${text} not null,
      primary key (instance, part)
    )${table};
    create table open_intents (
      sequence ${integer} primary key,
      request_id ${text} not null,
      namespace ${text} not null,
      secret ${text} not null,
      attempt ${integer} not null,
      replica ${text} not null${intentColumns}
    )${table};
    create index open_intents_by_request on open_intents (request_id);
    create table head (
      id ${integer} primary key check (id = 1),
      sequence ${integer} not null,
      hash ${text} not null
    )${head};
    insert into head values (1, 0, '${GENESIS.hash}');
    create table base (
      id ${integer} primary key check (id = 1),
      sequence ${integer} not null,
      hash ${text} not null,
      moving ${text}
    )${table};
    insert into base values (1, 0, '${GENESIS.hash}', null);`;
}

/** Returns the tables with the copies of pruned records. There are few copies, so these tables need fewer indexes. */
function retainedTables(syntax: TableSyntax): string {
  const { integer, text, table, index } = syntax;
  return `create table kept (
      slot ${text} primary key,
      sequence ${integer} not null,
      ${recordColumns(text)}
    )${table};
    create unique index kept_by_sequence on kept (sequence);
    create index kept_by_target on kept (secret, namespace, sequence);
    create table kept_sources (${sourceColumns(syntax)})${index};
    create index kept_sources_by_key on kept_sources (key, sequence);
    create table kept_fingerprints (
      sequence ${integer} not null,
      fingerprint ${text} not null,
      primary key (sequence, fingerprint)
    )${index};
    create index kept_fingerprints_by_value on kept_fingerprints (fingerprint);`;
}
