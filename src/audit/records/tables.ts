import { createHash } from 'node:crypto';
import type { Action, AuditRecord, ReviewState } from '../entry.ts';
import { searchedSources } from '../matches.ts';

/**
 * The rows of a store. Verification relies only on the text of a record. All other columns and tables exist for
 * searching.
 */
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
  /**
   * The action of the record. An index contains the action, so a search for the last read of a key skips the records of
   * its writes.
   */
  action: string;
}

/** Each fingerprint in `before`, `after` and `values` of a record. */
export interface FingerprintRow {
  sequence: number;
  fingerprint: string;
}

/** The last review of a record. A record without a review has no row. */
export interface ReviewRow {
  sequence: number;
  state: ReviewState;
  /** The sequence of the review itself. */
  review: number;
}

/** The intents without an outcome. Because of this table, the whole log need not be searched for them at each start. */
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

/** A single row with the last pruned record. The chain continues after this record. */
export interface BaseRow {
  sequence: number;
  hash: string;
  /** The address of the store that is being moved into this one. While it is set, no other writes are allowed. */
  moving: string | null;
}

/** The number of records in a block of `SpanRow`. */
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

/** Every target that was ever changed. Targets stay here after their records are pruned. */
export interface TargetRow {
  namespace: string;
  secret: string;
}

/** A part of the last configuration of an instance. */
export interface ConfigurationRow {
  instance: string;
  part: string;
  content: string;
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
    hash: record.hash,
    record: text,
  };
}

/** Returns one row for each source version. Two properties of the same version share a row. */
export function sourceRows(record: AuditRecord): SourceRow[] {
  const { sequence, action } = record;
  const rows = new Map<string, SourceRow>();
  for (const source of searchedSources(record)) {
    const row = {
      sequence,
      store: columnText(source.store),
      key: columnText(source.key),
      version: columnText(source.version),
      action,
    };
    rows.set(sourceText(row), row);
  }
  return [...rows.values()];
}

function sourceText({ store, key, version, action }: SourceRow): string {
  return JSON.stringify([store, key, version, action]);
}

/** Returns one row for each different fingerprint. Two keys with the same value share a row. */
export function fingerprintRows({ sequence, before, after, values = {} }: AuditRecord): FingerprintRow[] {
  const all = [before, after, ...Object.values(values)].filter((fingerprint) => fingerprint !== undefined);
  return [...new Set(all)].map((fingerprint) => ({ sequence, fingerprint }));
}

/**
 * Returns the columns that an outcome shares with its intent. A write and the restarts after it have the same attempt
 * numbers, so the column has the negative number for a restart.
 */
export function changeKey({ requestId, namespace, secret, action, attempt }: AuditRecord): ChangeKey {
  return {
    request_id: columnText(requestId),
    namespace: columnText(namespace ?? ''),
    secret: columnText(secret ?? ''),
    attempt: action === 'restart' ? -attempt : attempt,
  };
}

function column(text: string | undefined): string | null {
  return text === undefined ? null : columnText(text);
}

/**
 * The maximum length of a text in a column, in UTF-8 bytes. All names of stores and cluster objects are shorter. An
 * index contains up to four such columns, and an entry of a PostgreSQL index has at most 2,704 bytes.
 */
const MAX_COLUMN_BYTES = 600;
const MAX_BYTES_OF_CHARACTER = 3;

/**
 * Converts a text for storage in a column. PostgreSQL cannot store NUL, so NUL becomes U+2400. If a text is too long
 * for an index, it is cut and the hash of the whole text is appended.
 */
export function columnText(text: string): string {
  const cleaned = text.toWellFormed().replaceAll('\0', '\u2400');
  if (
    cleaned.length * MAX_BYTES_OF_CHARACTER <= MAX_COLUMN_BYTES ||
    Buffer.byteLength(cleaned) <= MAX_COLUMN_BYTES
  )
    return cleaned;
  const hash = createHash('sha256').update(cleaned, 'utf8').digest('hex');
  return `${cleaned.slice(0, 150).toWellFormed()}\u2026${hash}`;
}

/** Whether the columns, sources and fingerprints of a record agree with its text. */
export function columnsMatchRecord(
  row: RecordRow,
  sources: readonly SourceRow[],
  fingerprints: readonly FingerprintRow[],
  record: AuditRecord,
): boolean {
  return (
    sameRow(row, recordRow(record, row.record)) &&
    sameTexts(sources.map(sourceText), sourceRows(record).map(sourceText)) &&
    sameTexts(fingerprints.map(fingerprintOf), fingerprintRows(record).map(fingerprintOf))
  );
}

function fingerprintOf({ fingerprint }: FingerprintRow): string {
  return fingerprint;
}

function sameRow(a: object, b: object): boolean {
  const others = new Map<string, unknown>(Object.entries(b));
  return Object.entries(a).every(([name, value]) => others.get(name) === value);
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.toSorted().join() === b.toSorted().join();
}

/** The actions after which a Secret is listed as a target. */
const TARGET_CHANGES: readonly Action[] = ['create', 'update', 'adopt', 'repair', 'rollback'];

/** Returns the targets that these records changed, without duplicates. */
export function targetRows(records: readonly AuditRecord[]): readonly TargetRow[] {
  const rows = records
    .filter(({ action, secret }) => secret !== undefined && TARGET_CHANGES.includes(action))
    .map(({ namespace, secret }) => ({
      namespace: columnText(namespace ?? ''),
      secret: columnText(secret ?? ''),
    }));
  return [...new Map(rows.map((row) => [JSON.stringify([row.namespace, row.secret]), row])).values()];
}
