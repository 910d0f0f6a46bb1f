import type { Head } from '../chain.ts';
import type { Sql } from './sql.ts';
import {
  COUNTED,
  type CountRow,
  type NoteRow,
  type PersonRow,
  type SourceVersionRow,
} from './summary-rows.ts';
import type {
  ChangeKey,
  ConfigurationRow,
  FingerprintRow,
  IntentRow,
  RecordRow,
  RetainedRow,
  SourceRow,
  SpanRow,
  TargetRow,
} from './tables.ts';

/** A database with the tables of a store. All other code of a store is the same for SQLite and PostgreSQL. */
export interface AuditDatabase {
  readonly dialect: Dialect;
  query: Query;
  /**
   * Runs a query that returns few rows, and has only texts as values. Such queries are frequent: some run after each
   * read of a new value and before each write of a target, often for many sources at the same time.
   */
  queryBatched: Query;
  /** Runs work whose queries all see the same state of the database. */
  snapshot<T>(work: (query: Query) => Promise<T>): Promise<T>;
  /** Runs work in a transaction. The transaction holds the lock of the head, so no other process writes meanwhile. */
  transact<T>(work: (transaction: Transaction, state: WriteState) => Promise<T>): Promise<T>;
}

export type Query = <Row>(query: Sql<Row>) => Promise<readonly Row[]>;

export interface Transaction {
  query: Query;
  /** Inserts and deletes rows, as one statement if the database allows it. */
  change(change: Change): Promise<void>;
}

/** The state of the store at the beginning of a transaction. */
export interface WriteState {
  readonly head: Head;
  readonly moving: string | null;
}

/** The parts of the SQL that differ between the two databases. */
export interface Dialect {
  /**
   * Returns SQL that makes SQLite read a table through this index. PostgreSQL needs no such SQL, because it chooses the
   * index by itself.
   */
  using(index: string): Sql;
  /**
   * Returns the condition that these columns have these values and `sequence` is in the range, and the orders that
   * return the newest or the oldest rows first. The columns are the first columns of an index, and the last one is
   * `sequence`.
   */
  inIndexOrder(
    columns: readonly EqualColumn[],
    range: SequenceRange,
  ): { readonly condition: Sql; readonly newestFirst: Sql; readonly oldestFirst: Sql };
  /** Returns the value of a column in a form for which the database uses no index. */
  unindexed(column: Sql): Sql;
  /** Selects the sequence numbers of the records with this fingerprint, in any order. */
  withFingerprint(fingerprint: string, within: Range): Sql;
  /**
   * A statement to run after an import. It marks the imported intents as abandoned, because their processes do not
   * write to this store.
   */
  readonly afterImport: Sql | undefined;
}

/** A column and the text that it must have. */
export interface EqualColumn {
  readonly column: Sql;
  readonly value: string;
}

/** The range of a column with sequence numbers. It excludes both ends. */
export interface SequenceRange {
  readonly column: Sql;
  readonly after: Sql;
  readonly before: Sql | undefined;
}

/** A range of sequence numbers that excludes both ends. */
export interface Range {
  readonly after: number;
  readonly before: number;
}

export interface Change {
  readonly rows: Partial<NewRows>;
  /** Intents that now have an outcome. They are closed before the rows are inserted. */
  readonly closed?: readonly ChangeKey[];
  readonly head?: Head;
}

/** Rows to insert, by table. */
export interface NewRows {
  readonly records: readonly RecordRow[];
  readonly record_sources: readonly SourceRow[];
  readonly record_fingerprints: readonly FingerprintRow[];
  readonly spans: readonly SpanRow[];
  readonly targets: readonly TargetRow[];
  readonly open_intents: readonly IntentRow[];
  readonly kept: readonly RetainedRow[];
  readonly kept_sources: readonly SourceRow[];
  readonly kept_fingerprints: readonly FingerprintRow[];
  readonly configurations: readonly ConfigurationRow[];
  readonly record_notes: readonly NoteRow[];
  readonly people: readonly PersonRow[];
  readonly source_versions: readonly SourceVersionRow[];
  readonly record_counts: readonly CountRow[];
}

type Table = keyof NewRows;
type Columns<T extends Table> = readonly (keyof NewRows[T][number] & string)[];

const RECORD = [
  'sequence',
  'time',
  'actor_kind',
  'actor_name',
  'request_id',
  'action',
  'outcome',
  'code',
  'mapping',
  'namespace',
  'secret',
  'hash',
  'record',
] as const;
const SOURCE = ['sequence', 'store', 'key', 'version', 'action'] as const;
const FINGERPRINT = ['sequence', 'fingerprint'] as const;

const COLUMNS: { readonly [T in Table]: Columns<T> } = {
  records: RECORD,
  record_sources: SOURCE,
  record_fingerprints: FINGERPRINT,
  spans: ['block', 'since', 'until'],
  targets: ['namespace', 'secret'],
  open_intents: ['sequence', 'request_id', 'namespace', 'secret', 'attempt', 'replica'],
  kept: ['slot', ...RECORD],
  kept_sources: SOURCE,
  kept_fingerprints: FINGERPRINT,
  configurations: ['instance', 'part', 'content'],
  record_notes: ['sequence', 'about', 'note'],
  people: ['name', 'namespace'],
  source_versions: ['store', 'key', 'version', 'since', 'sequence'],
  record_counts: ['hour', 'namespace', ...COUNTED],
};

/**
 * For each table, the SQL for rows that exist already. If a table is not listed here, an existing row is an error,
 * because only a change from outside can have added it.
 */
const CONFLICTS: { readonly [T in Table]?: string } = {
  spans: `on conflict (block) do update set
    since = case when excluded.since < spans.since then excluded.since else spans.since end,
    until = case when excluded.until > spans.until then excluded.until else spans.until end`,
  targets: 'on conflict do nothing',
  people: 'on conflict do nothing',
  source_versions: `on conflict (store, key) do update set version = excluded.version, sequence = excluded.sequence,
    since = case when source_versions.version = excluded.version and source_versions.since < excluded.since
      then source_versions.since else excluded.since end
    where excluded.sequence > source_versions.sequence`,
  record_counts: `on conflict (hour, namespace) do update set
    ${COUNTED.map((column) => `${column} = record_counts.${column} + excluded.${column}`).join(', ')}`,
  open_intents: 'on conflict do nothing',
  configurations: 'on conflict (instance, part) do update set content = excluded.content',
  kept: `on conflict (slot) do update set ${RECORD.map((column) => `${column} = excluded.${column}`).join(', ')}`,
};

/** The new rows of a table, and how to insert them. */
export interface Insertion {
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: readonly object[];
  /** The end of the `insert` statement, for rows that exist already. */
  readonly onConflict: string;
}

/** Returns the insertions into the tables that get new rows. */
export function insertionsOf(rows: Partial<NewRows>): readonly Insertion[] {
  return (Object.keys(COLUMNS) as Table[]).flatMap((table) => {
    const added: readonly object[] = rows[table] ?? [];
    if (added.length === 0) return [];
    return [{ table, columns: COLUMNS[table], rows: added, onConflict: CONFLICTS[table] ?? '' }];
  });
}
