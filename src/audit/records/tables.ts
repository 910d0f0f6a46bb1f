import { createHash } from 'node:crypto';
import type { Action, AuditRecord, ReviewState } from '../entry.ts';

/** What the stores keep: the record's text, which alone counts, and beside it what is searched by. */
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
  kept: KeptRow;
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

/** Each source that a record is about. Empty is what it does not say: a sweep of a store names no key. */
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

/** Intents whose outcome is not recorded yet, so that a start need not search the whole log for them. */
export interface IntentRow extends ChangeKey {
  sequence: number;
  replica: string;
}

/** What an intent and its outcome have in common. */
export interface ChangeKey {
  request_id: string;
  namespace: string;
  secret: string;
  attempt: number;
}

/** One row. Kept apart from the records, so that cutting off the newest of them shows. */
export interface HeadRow {
  id: number;
  sequence: number;
  hash: string;
}

/** One row: the last record that left, whose successor is the first one that counts. */
export interface BaseRow extends HeadRow {
  /** What is being moved into this store. Until that is done, nothing else is written. */
  moving: string | null;
}

/**
 * What most filters ask for, once more and by itself: a fifteenth of the records' size, so that a question whose
 * answer is far apart, or empty, can look at all of it (`search.ts`).
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
  /** The store of its sources, or `SEVERAL`; null: it has none. */
  store: string | null;
  /** As its last review says; null for a review itself. */
  state: ReviewState | null;
  /** The record of that review. */
  review: number | null;
}

/** How many records share a span. */
export const BLOCK = 4096;

/**
 * The times of a block of records: by them a question about a time is one about few blocks. The order of records is
 * that of their sequence; clocks jump and differ between replicas, so no time says where a record is.
 */
export interface SpanRow {
  /** The sequence divided by `BLOCK`. */
  block: number;
  since: string;
  until: string;
}

/** In the place of a store: look at the sources themselves. */
export const SEVERAL = '*';

/** Every target that was ever changed, for longer than its records are there. */
export interface TargetRow {
  namespace: string;
  secret: string;
}

/** Copies of records that left and still decide something (`keepers.ts`). */
export interface KeptRow extends RecordRow {
  slot: string;
}

export function recordRow(record: AuditRecord, text: string): RecordRow {
  return {
    sequence: record.sequence,
    time: record.time,
    actor_kind: record.actor.kind,
    actor_name: column(record.actor.name),
    request_id: searchable(record.requestId),
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

/** What a row of `records` that is a review says, as expressions of a database. Of a damaged text they are null. */
export interface ReviewSql {
  /** The sequence of the record that it is about. */
  readonly about: string;
  readonly state: string;
}

/**
 * Takes away what stands beside records that are not there, for somebody who cut them off: it would collide with the
 * records that come, also when a person has accepted the loss. A record whose last review is among them is again
 * what the review before it said.
 */
export function leftovers({ about, state }: ReviewSql): readonly string[] {
  const end = `(select max(sequence) from (
    select sequence from head union all select coalesce(max(sequence), 0) from records) as ends)`;
  const beside = ['record_sources', 'record_values', 'facets', 'open_intents'];
  return [
    ...beside.map((table) => `delete from ${table} where sequence > ${end}`),
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

/** Of a record that nobody has reviewed yet. */
export function facetRow(record: AuditRecord): FacetRow {
  return facetOf(recordRow(record, ''), sourceRows(record));
}

export function facetOf(row: RecordRow, sources: readonly SourceRow[]): FacetRow {
  const { sequence, time, actor_kind, actor_name, action, outcome, code, mapping, namespace, secret } = row;
  const stores = new Set(sources.map(({ store }) => store));
  const [store = null] = stores;
  return {
    ...{ sequence, time, actor_kind, actor_name, action, outcome, code, mapping, namespace, secret },
    store: stores.size > 1 ? SEVERAL : store,
    state: action === 'review' ? null : 'unreviewed',
    review: null,
  };
}

/** Without doubles: two properties of one version are one source here. */
export function sourceRows({ sequence, store, key = '', sources }: AuditRecord): SourceRow[] {
  const listed = sources.some((source) => source.store === store && source.key === key);
  const all = store === undefined || listed ? sources : [{ store, key, version: '' }, ...sources];
  const rows = new Map<string, SourceRow>();
  for (const source of all) {
    const found = {
      sequence,
      store: searchable(source.store),
      key: searchable(source.key),
      version: searchable(source.version),
    };
    rows.set(sourceText(found), found);
  }
  return [...rows.values()];
}

function sourceText({ store, key, version }: SourceRow): string {
  return JSON.stringify([store, key, version]);
}

/** Without doubles: two keys may have the same value. */
export function valueRows({ sequence, values = {} }: AuditRecord): ValueRow[] {
  return [...new Set(Object.values(values))].map((fingerprint) => ({ sequence, fingerprint }));
}

export function changeKey({ requestId, namespace, secret, attempt }: AuditRecord): ChangeKey {
  return {
    request_id: searchable(requestId),
    namespace: searchable(namespace ?? ''),
    secret: searchable(secret ?? ''),
    attempt,
  };
}

function column(text: string | undefined): string | null {
  return text === undefined ? null : searchable(text);
}

/** More than any name of a store or a cluster; three of its UTF-8 bytes each fit into an index of PostgreSQL. */
const LONGEST = 800;

/**
 * Text as a column has it, which is not always what the record has: PostgreSQL has no NUL, so it shows as U+2400,
 * and what is too long for an index stands there by its beginning and a hash.
 */
export function searchable(text: string): string {
  const shown = text.toWellFormed().replaceAll('\0', '\u2400');
  if (shown.length <= LONGEST) return shown;
  const hash = createHash('sha256').update(shown, 'utf8').digest('hex');
  return `${shown.slice(0, LONGEST - 100).toWellFormed()}\u2026${hash}`;
}

/**
 * Whether the columns, the sources and the values beside a record say the same as its text. The first schema has
 * nothing of values.
 */
export function isIndexed(
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

/** The targets that records are about. */
export function targetRows(records: readonly AuditRecord[]): readonly TargetRow[] {
  return records
    .filter(({ action, secret }) => secret !== undefined && TARGET_CHANGES.includes(action))
    .map(({ namespace, secret }) => ({
      namespace: searchable(namespace ?? ''),
      secret: searchable(secret ?? ''),
    }));
}
