import { type Action, type AuditRecord, isPerson } from '../entry.ts';
import { isWrite } from '../record-index.ts';
import { columnText } from './tables.ts';

// Small tables that answer frequent questions without reading the log: numbers for each hour, the present version of
// each source, the notes and the names of people. Verification does not read them, because they prove nothing.

/** A note that a person wrote. */
export interface NoteRow {
  sequence: number;
  /** The sequence of the record that the note is about: the reviewed record, or the record itself. */
  about: number;
  note: string;
}

/** A person who acted in a namespace. The namespace is empty for what concerns no namespace. */
export interface PersonRow {
  name: string;
  namespace: string;
}

/** The version of a source that was read last, and when it was read first. */
export interface SourceVersionRow {
  store: string;
  key: string;
  version: string;
  since: string;
  sequence: number;
}

export const COUNTED = ['changes', 'failures', 'refusals', 'held'] as const;
export type Counts = { [K in (typeof COUNTED)[number]]: number };

/** What happened in one hour in one namespace. */
export interface CountRow extends Counts {
  /** Hours since 1970. */
  hour: number;
  namespace: string;
}

const HOUR_MS = 3_600_000;

export function hourOf(time: string): number {
  return Math.floor(Date.parse(time) / HOUR_MS);
}

export interface SummaryRows {
  readonly record_notes: readonly NoteRow[];
  readonly people: readonly PersonRow[];
  readonly source_versions: readonly SourceVersionRow[];
  readonly record_counts: readonly CountRow[];
}

export function summaryRows(records: readonly AuditRecord[]): SummaryRows {
  return {
    record_notes: records.flatMap(noteRows),
    people: personRows(records),
    source_versions: sourceVersionRows(records),
    record_counts: countRows(records),
  };
}

const NOTED: readonly Action[] = ['review', 'approve', 'reject', 'request'];

/** The note of a command is the command. Only an override has a reason that a person wrote. */
function noteRows({ sequence, action, note, review }: AuditRecord): readonly NoteRow[] {
  const isNote = NOTED.includes(action) || (action === 'command' && note?.includes(' --reason '));
  if (!isNote || note === undefined) return [];
  const text = note.toWellFormed().replaceAll('\0', '\u2400');
  return [{ sequence, about: review?.sequence ?? sequence, note: text }];
}

function personRows(records: readonly AuditRecord[]): readonly PersonRow[] {
  const rows = new Map<string, PersonRow>();
  for (const { actor, namespace = '' } of records) {
    if (actor.name === undefined || !isPerson(actor)) continue;
    const row = { name: columnText(actor.name), namespace: columnText(namespace) };
    rows.set(JSON.stringify(row), row);
  }
  return [...rows.values()];
}

/** Returns one row for each source that was read, because one statement must not change a row twice. */
export function sourceVersionRows(records: readonly AuditRecord[]): readonly SourceVersionRow[] {
  const rows = new Map<string, SourceVersionRow>();
  for (const { action, outcome, sources, time, sequence } of records) {
    const [source] = sources;
    if (action !== 'read' || outcome !== 'ok' || source === undefined) continue;
    const [store, key] = [columnText(source.store), columnText(source.key)];
    const id = JSON.stringify([store, key]);
    const version = columnText(source.version);
    const earlier = rows.get(id);
    const since = earlier?.version === version && earlier.since < time ? earlier.since : time;
    rows.set(id, { store, key, version, since, sequence });
  }
  return [...rows.values()];
}

function countRows(records: readonly AuditRecord[]): readonly CountRow[] {
  const rows = new Map<string, CountRow>();
  for (const record of records) {
    const counted = countedAs(record);
    if (counted === undefined) continue;
    const { time, namespace = '' } = record;
    const key = { hour: hourOf(time), namespace: columnText(namespace) };
    const id = JSON.stringify(key);
    const row = rows.get(id) ?? { ...key, changes: 0, failures: 0, refusals: 0, held: 0 };
    row[counted] += 1;
    rows.set(id, row);
  }
  return [...rows.values()];
}

/** A failed sweep is not counted, because each failed read of the sweep has its own record. */
function countedAs(record: AuditRecord): keyof Counts | undefined {
  const { outcome, phase, action } = record;
  if (outcome === 'failed') return action === 'sweep' ? undefined : 'failures';
  if (outcome === 'refused') return 'refusals';
  if (outcome === 'held') return 'held';
  return phase === 'outcome' && isWrite(record) ? 'changes' : undefined;
}
