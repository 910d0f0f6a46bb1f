import { createHash } from 'node:crypto';
import type { AuditRecord } from './entry.ts';

/** What the stores keep: the record's text, which alone counts, and beside it what is searched by. */
export interface AuditTables {
  records: RecordRow;
  record_sources: SourceRow;
  open_intents: IntentRow;
  head: HeadRow;
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

/** Whether the columns and the sources beside a record say the same as its text. */
export function isIndexed(row: RecordRow, sources: readonly SourceRow[], record: AuditRecord): boolean {
  return sameRow(row, recordRow(record, row.record)) && sameRows(sources, sourceRows(record));
}

function sameRow(a: object, b: object): boolean {
  const others = new Map<string, unknown>(Object.entries(b));
  return Object.entries(a).every(([name, value]) => others.get(name) === value);
}

function sameRows(a: readonly SourceRow[], b: readonly SourceRow[]): boolean {
  const text = (rows: readonly SourceRow[]): string => rows.map(sourceText).sort().join();
  return text(a) === text(b);
}
