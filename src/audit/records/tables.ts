import { createHash } from 'node:crypto';
import type { Action, AuditRecord, ReviewState } from '../entry.ts';

/** The tables of a store. Only the record's text counts as evidence; everything else exists for searching. */
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

/** Each source of a record. Missing parts are empty: a sweep of a store names no key. */
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

/** Intents without an outcome, so that startup need not search the whole log. */
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

/** One row. It is separate from the records, so that deleting the newest records is noticed. */
export interface HeadRow {
  id: number;
  sequence: number;
  hash: string;
}

/** One row: the last pruned record. The chain starts after it. */
export interface BaseRow extends HeadRow {
  /** The store that is being moved into this one. While it is set, nothing else is written. */
  moving: string | null;
}

/**
 * A small copy of the columns that most filters use, about a fifteenth of the records' size. A search with rare or no
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
  /** The store of the record's sources, or `SEVERAL_STORES`. Null: no source. */
  store: string | null;
  /** The state from the last review; null for reviews themselves. */
  state: ReviewState | null;
  /** The sequence of that review. */
  review: number | null;
}

/** How many records share a span. */
export const BLOCK = 4096;

/**
 * The times of a block of records, so that a time filter only reads few blocks. The sequence is the only order of
 * records: clocks jump and differ between replicas.
 */
export interface SpanRow {
  /** The sequence divided by `BLOCK`. */
  block: number;
  since: string;
  until: string;
}

/** Instead of a store name: look at the sources themselves. */
export const SEVERAL_STORES = '*';

/** Every target that was ever changed. Kept after its records are pruned. */
export interface TargetRow {
  namespace: string;
  secret: string;
}

/** Retained copies of pruned records (`retained-records.ts`). */
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

/** SQL expressions for the fields of a review in a row of `records`. Null for a damaged text. */
export interface ReviewSql {
  /** The sequence of the reviewed record. */
  readonly about: string;
  readonly state: string;
}

/**
 * Statements that delete search rows without records. They exist when someone cut off the end of the log, and would
 * collide with new records after a person accepts the loss. A record that lost its last review gets the state of the
 * previous one.
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

/** Without duplicates: two properties of one version are one source here. */
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

/** Without duplicates: two keys may have the same value. */
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

/** Longer than any name of a store or a cluster. At three UTF-8 bytes each, it fits into an index of PostgreSQL. */
const MAX_COLUMN_LENGTH = 800;

/**
 * Text as a column holds it, which may differ from the record. PostgreSQL has no NUL, so it becomes U+2400. Text that
 * is too long for an index becomes its beginning and a hash.
 */
export function columnText(text: string): string {
  const cleaned = text.toWellFormed().replaceAll('\0', '\u2400');
  if (cleaned.length <= MAX_COLUMN_LENGTH) return cleaned;
  const hash = createHash('sha256').update(cleaned, 'utf8').digest('hex');
  return `${cleaned.slice(0, MAX_COLUMN_LENGTH - 100).toWellFormed()}\u2026${hash}`;
}

/** Whether the columns, sources and values of a record agree with its text. Schema 1 has no values. */
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

/** The actions that make a Secret a target. */
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
