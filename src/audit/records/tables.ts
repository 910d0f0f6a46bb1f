import { createHash } from 'node:crypto';
import type { Action, AuditRecord, ReviewState } from '../entry.ts';

/**
 * The tables of a store. Only the text of a record is evidence, and all other columns and tables exist for searching.
 */
export interface AuditTables {
  records: RecordRow;
  record_sources: SourceRow;
  record_values: ValueRow;
  open_intents: IntentRow;
  head: HeadRow;
  base: BaseRow;
  facets: FacetRow;
  spans: SpanRow;
  targets: TargetRow;
  kept: RetainedRow;
  kept_sources: SourceRow;
  kept_values: ValueRow;
}

export interface RecordRow {
  sequence: number;
  time: string;
  actor_kind: string;
  actor_name: string | null;
  request_id: string;
  action: string;
  outcome: string;
  code: string | null;
  mapping: string | null;
  namespace: string | null;
  secret: string | null;
  fingerprint_before: string | null;
  fingerprint_after: string | null;
  hash: string;
  /** The canonical JSON of the record without `hash`. */
  record: string;
}

/** Each source of a record. Missing parts are empty strings; for example, a sweep of a store has no key. */
export interface SourceRow {
  sequence: number;
  store: string;
  key: string;
  version: string;
}

/** Each fingerprint among the values of a record. */
export interface ValueRow {
  sequence: number;
  fingerprint: string;
}

/** Intents without an outcome. The table saves startup from searching the whole log. */
export interface IntentRow extends ChangeKey {
  sequence: number;
  replica: string;
}

/** The fields that an intent and its outcome share. */
export interface ChangeKey {
  request_id: string;
  namespace: string;
  secret: string;
  attempt: number;
}

/** A single row, separate from the records, so that a deletion of the newest records is noticed. */
export interface HeadRow {
  id: number;
  sequence: number;
  hash: string;
}

/** A single row with the last pruned record. The chain continues after it. */
export interface BaseRow extends HeadRow {
  /** The address of the store that is being moved into this one. No other writes are allowed while it is set. */
  moving: string | null;
}

/**
 * A copy of the columns that most filters use, about a fifteenth of the size of the records. A search with few or no
 * results can scan all of it (`search.ts`).
 */
export interface FacetRow {
  sequence: number;
  time: string;
  actor_kind: string;
  actor_name: string | null;
  action: string;
  outcome: string;
  code: string | null;
  mapping: string | null;
  namespace: string | null;
  secret: string | null;
  /** The store of the record's sources, `SEVERAL_STORES` if there are several, or null if there is no source. */
  store: string | null;
  /** The state that the last review set. Null for reviews themselves. */
  state: ReviewState | null;
  /** The sequence of the last review. */
  review: number | null;
}

/** The number of records in a block. */
export const BLOCK = 4096;

/**
 * The earliest and latest time in a block of records. With these, a time filter reads only a few blocks. Times are not
 * in record order, because clocks jump and differ between replicas.
 */
export interface SpanRow {
  /** The sequence divided by `BLOCK`, rounded down. */
  block: number;
  since: string;
  until: string;
}

/** Used in `facets.store` if a record has sources in several stores. Queries then check `record_sources`. */
export const SEVERAL_STORES = '*';

/** Every target that was ever changed. Targets stay here after their records are pruned. */
export interface TargetRow {
  namespace: string;
  secret: string;
}

/** Copies of pruned records that later decisions need (`retained-records.ts`). */
export interface RetainedRow extends RecordRow {
  slot: string;
}

export function recordRow(record: AuditRecord, text: string): RecordRow {
  return {
    sequence: record.sequence,
    time: record.time,
    actor_kind: record.actor.kind,
    actor_name: column(record.actor.name),
    request_id: columnText(record.requestId),
    action: record.action,
    outcome: record.outcome,
    code: record.code ?? null,
    mapping: column(record.mapping),
    namespace: column(record.namespace),
    secret: column(record.secret),
    fingerprint_before: record.before ?? null,
    fingerprint_after: record.after ?? null,
    hash: record.hash,
    record: text,
  };
}

/** SQL expressions that extract the fields of a review from a row of `records`. They return null for a damaged text. */
export interface ReviewSql {
  /** The sequence of the reviewed record. */
  readonly about: string;
  readonly state: string;
}

/**
 * Statements that delete search rows without records. Such rows exist after someone has cut off the end of the log.
 * They would collide with new records once a person accepts the loss. A record whose last review was cut off is reset
 * to the state of the previous review.
 */
export function orphanCleanup({ about, state }: ReviewSql): readonly string[] {
  const end = `(select max(sequence) from (
    select sequence from head union all select coalesce(max(sequence), 0) from records) as ends)`;
  const searchTables = ['record_sources', 'record_values', 'facets', 'open_intents'];
  return [
    ...searchTables.map((table) => `delete from ${table} where sequence > ${end}`),
    `with lost as materialized (select sequence from facets where review > ${end}),
      reviews as materialized (select sequence, ${about} as about, ${state} as state from records
        where action = 'review' and exists (select 1 from lost)),
      last as materialized (select about, max(sequence) as review from reviews group by about)
    update facets set review = (select review from last where about = facets.sequence),
      state = coalesce((select reviews.state from last join reviews on reviews.sequence = last.review
        where last.about = facets.sequence), 'unreviewed')
    where sequence in (select sequence from lost)`,
  ];
}

/** The facet row of a record without a review. */
export function unreviewedFacet(record: AuditRecord): FacetRow {
  return facetOf(recordRow(record, ''), sourceRows(record));
}

export function facetOf(row: RecordRow, sources: readonly SourceRow[]): FacetRow {
  const { sequence, time, actor_kind, actor_name, action, outcome, code, mapping, namespace, secret } = row;
  const stores = new Set(sources.map(({ store }) => store));
  const [store = null] = stores;
  return {
    ...{ sequence, time, actor_kind, actor_name, action, outcome, code, mapping, namespace, secret },
    store: stores.size > 1 ? SEVERAL_STORES : store,
    state: action === 'review' ? null : 'unreviewed',
    review: null,
  };
}

/** Without duplicates: two properties of the same version give one row. */
export function sourceRows({ sequence, store, key = '', sources }: AuditRecord): SourceRow[] {
  const listed = sources.some((source) => source.store === store && source.key === key);
  const all = store === undefined || listed ? sources : [{ store, key, version: '' }, ...sources];
  const rows = new Map<string, SourceRow>();
  for (const source of all) {
    const row = {
      sequence,
      store: columnText(source.store),
      key: columnText(source.key),
      version: columnText(source.version),
    };
    rows.set(sourceText(row), row);
  }
  return [...rows.values()];
}

function sourceText({ store, key, version }: SourceRow): string {
  return JSON.stringify([store, key, version]);
}

/** Without duplicates, because two keys may have the same value. */
export function valueRows({ sequence, values = {} }: AuditRecord): ValueRow[] {
  return [...new Set(Object.values(values))].map((fingerprint) => ({ sequence, fingerprint }));
}

export function changeKey({ requestId, namespace, secret, attempt }: AuditRecord): ChangeKey {
  return {
    request_id: columnText(requestId),
    namespace: columnText(namespace ?? ''),
    secret: columnText(secret ?? ''),
    attempt,
  };
}

function column(text: string | undefined): string | null {
  return text === undefined ? null : columnText(text);
}

/**
 * In characters. Longer than any store or cluster name. With three UTF-8 bytes per character, it still fits into a
 * PostgreSQL index.
 */
const MAX_COLUMN_LENGTH = 800;

/**
 * Converts a text for a column. PostgreSQL cannot store NUL, so NUL becomes U+2400. A text that is too long for an
 * index is cut, and a hash is appended.
 */
export function columnText(text: string): string {
  const cleaned = text.toWellFormed().replaceAll('\0', '\u2400');
  if (cleaned.length <= MAX_COLUMN_LENGTH) return cleaned;
  const hash = createHash('sha256').update(cleaned, 'utf8').digest('hex');
  return `${cleaned.slice(0, MAX_COLUMN_LENGTH - 100).toWellFormed()}\u2026${hash}`;
}

/**
 * Whether the columns, sources and values of a record agree with its text. Values are not compared for schema 1, which
 * has none.
 */
export function columnsMatchRecord(
  row: RecordRow,
  sources: readonly SourceRow[],
  values: readonly ValueRow[] | undefined,
  record: AuditRecord,
): boolean {
  return (
    sameRow(row, recordRow(record, row.record)) &&
    sameTexts(sources.map(sourceText), sourceRows(record).map(sourceText)) &&
    (values === undefined || sameTexts(values.map(valueText), valueRows(record).map(valueText)))
  );
}

function valueText({ fingerprint }: ValueRow): string {
  return fingerprint;
}

export function sameRow(a: object, b: object): boolean {
  const others = new Map<string, unknown>(Object.entries(b));
  return Object.entries(a).every(([name, value]) => others.get(name) === value);
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.toSorted().join() === b.toSorted().join();
}

/** The actions after which a Secret is listed as a target. */
export const TARGET_CHANGES: readonly Action[] = ['create', 'update', 'adopt', 'repair', 'rollback'];

/** The targets that these records changed. */
export function targetRows(records: readonly AuditRecord[]): readonly TargetRow[] {
  return records
    .filter(({ action, secret }) => secret !== undefined && TARGET_CHANGES.includes(action))
    .map(({ namespace, secret }) => ({
      namespace: columnText(namespace ?? ''),
      secret: columnText(secret ?? ''),
    }));
}
