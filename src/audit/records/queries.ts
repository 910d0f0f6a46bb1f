import { AppError } from '../../core/errors.ts';
import type { TargetId } from '../../core/target.ts';
import { ACTOR_KINDS, type Action } from '../entry.ts';
import type { RecordFilter } from '../store.ts';
import { and, isOneOf, joined, NOTHING, raw, type Sql, sql } from './sql.ts';
import {
  type BaseRow,
  BLOCK,
  columnText,
  type FingerprintRow,
  type IntentRow,
  type RecordRow,
  type ReviewRow,
  type SourceRow,
  type SpanRow,
  type TargetRow,
} from './tables.ts';

export type RecordText = Pick<RecordRow, 'sequence' | 'record' | 'hash'>;

/**
 * The sequence of the last pruned record. Reads the only row of the table through its index. Our PostgreSQL sessions
 * switch sequential scans off: the planner takes such a scan for so expensive that all other costs look equal.
 */
export const BASE = sql`(select base.sequence from base where base.id = 1)`;

const AFTER_BASE = sql`> ${BASE}`;

/** Returns the conditions of a filter that concern the columns of `records` or `kept`. */
export function columnConditions(table: string, filter: RecordFilter): readonly Sql[] {
  const { since, until, actor, mapping, namespace, secret, action, outcome, code } = filter;
  const columns = {
    [isPerson(actor) ? 'actor_name' : 'actor_kind']: actor,
    mapping,
    namespace,
    secret,
    action,
    outcome,
    code,
  };
  return [
    ...(since === undefined ? [] : [sql`${raw(table)}.time >= ${instant(since)}`]),
    ...(until === undefined ? [] : [sql`${raw(table)}.time <= ${instant(until)}`]),
    ...equalities(table, columns),
    ...(filter.namespaces === undefined ? [] : [isInNamespaces(table, filter.namespaces)]),
  ];
}

/** Whether the actor of a filter is a name and not a kind. */
export function isPerson(actor: string | undefined): boolean {
  return actor !== undefined && !(ACTOR_KINDS as readonly string[]).includes(actor);
}

/** `like` ignores case in SQLite, but names of namespaces have no capital letters. */
export function isInNamespaces(table: string, globs: readonly string[]): Sql {
  const column = `${table}.namespace`;
  const names = globs.filter((glob) => !glob.includes('*'));
  const patterns = globs
    .filter((glob) => glob.includes('*'))
    .map((glob) => glob.replace(/[!%_]/g, '!$&').replace(/\*+/g, '%'));
  const alternatives = [
    isOneOf(column, names),
    ...patterns.map((pattern) => sql`${raw(column)} like ${pattern} escape '!'`),
  ];
  return sql`(${joined(alternatives, ' or ')})`;
}

function equalities(table: string, columns: Readonly<Record<string, string | undefined>>): readonly Sql[] {
  return Object.entries(columns).flatMap(([column, value]) =>
    value === undefined ? [] : [sql`${raw(`${table}.${column}`)} = ${columnText(value)}`],
  );
}

/** Converts a time to the format of all stored times. In this format, times can be compared as text. */
export function instant(time: string): string {
  const parsed = new Date(time);
  if (Number.isNaN(parsed.getTime()))
    throw new AppError('INTERNAL', { detail: 'a filter has an invalid time' });
  return parsed.toISOString();
}

/**
 * Returns the conditions on a source. All of them must hold for the same source. For example, `--store a --key b` must
 * not match a record with one source in store `a` and a key `b` in another store.
 */
export function sourceConditions(table: string, { store, key, version }: RecordFilter): readonly Sql[] {
  return equalities(table, { store, key, version });
}

/**
 * Returns the conditions on fields that have no column. Filters always contain other conditions too. The text of a
 * record is canonical JSON, so a member always has exactly this form. A pattern for a member matches nothing else, because
 * quotation marks within texts are escaped. Each key of the object `values` has a fingerprint, which no pattern contains.
 */
export function textConditions(table: string, { phase, instance }: RecordFilter): readonly Sql[] {
  return Object.entries({ phase, instance }).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const member = `${JSON.stringify(name)}:${JSON.stringify(value)}`;
    const text = raw(`${table}.record`);
    return [sql`replace(${text}, ${member}, '') <> ${text}`];
  });
}

/** Returns the condition that a column is less than a sequence, if there is one. Batched queries have only texts as values. */
export function isBefore(column: Sql, sequence: number | undefined): readonly Sql[] {
  return sequence === undefined ? [] : [sql`${column} < ${raw(String(Math.trunc(sequence)))}`];
}

/**
 * Selects the newest matching copy of a pruned record. The filter's review state is ignored, because reviews are pruned
 * together with their records.
 */
export function retainedQuery(
  filter: RecordFilter,
  actions: readonly Action[],
  before?: number,
): Sql<RecordText> {
  const { request, fingerprint } = filter;
  const conditions = [
    isOneOf('kept.action', actions),
    ...isBefore(sql`kept.sequence`, before),
    ...columnConditions('kept', filter),
  ];
  if (request !== undefined) conditions.push(sql`kept.request_id = ${columnText(request)}`);
  if (fingerprint !== undefined)
    conditions.push(
      sql`kept.sequence in (select sequence from kept_fingerprints where fingerprint = ${fingerprint})`,
    );
  const source = sourceConditions('kept_sources', filter);
  if (source.length > 0)
    conditions.push(sql`kept.sequence in (select sequence from kept_sources where ${and(source)})`);
  return sql`select sequence, record, hash from kept
    where ${and([...conditions, ...textConditions('kept', filter)])} order by sequence desc limit 1`;
}

export const targetsQuery: Sql<TargetRow> = sql`select namespace, secret from targets`;

export const baseQuery: Sql<BaseRow> = sql`select sequence, hash, moving from base`;

export const headQuery: Sql<{ sequence: number; hash: string }> = sql`select sequence, hash from head`;

export function recordQuery(sequence: number): Sql<RecordText> {
  return sql`select sequence, record, hash from records where sequence = ${sequence} and sequence ${AFTER_BASE}`;
}

/**
 * Selects rows with all columns, because verification compares the columns with the text. The oldest rows come first.
 */
export function scanQuery(from: number, limit: number): Sql<RecordRow> {
  return sql`select * from records where sequence >= ${from} order by sequence limit ${limit}`;
}

function between(from: number, to: number): Sql {
  return sql`sequence >= ${from} and sequence <= ${to}`;
}

export function sourcesQuery(from: number, to: number): Sql<SourceRow> {
  return sql`select * from record_sources where ${between(from, to)}`;
}

export function fingerprintsQuery(from: number, to: number): Sql<FingerprintRow> {
  return sql`select * from record_fingerprints where ${between(from, to)}`;
}

/** Selects the review rows of the records in a range, each with the review that it refers to. */
export function reviewRowsQuery(
  from: number,
  to: number,
): Sql<ReviewRow & Partial<Pick<RecordText, 'record' | 'hash'>>> {
  return sql`select record_reviews.sequence, state, review, record, hash
    from record_reviews left join records on records.sequence = review
    where record_reviews.sequence >= ${from} and record_reviews.sequence <= ${to}`;
}

export function spansQuery(from: number, to: number): Sql<SpanRow> {
  return sql`select * from spans
    where block >= ${Math.floor(from / BLOCK)} and block <= ${Math.floor(to / BLOCK)}`;
}

/** Selects the last review of each of these records. Omits pruned records. */
export function reviewsQuery(sequences: readonly number[]): Sql<RecordText & { reviewed: number }> {
  return sql`select records.sequence, records.record, records.hash, record_reviews.sequence as reviewed
    from record_reviews join records on records.sequence = review
    where ${isOneOf('record_reviews.sequence', sequences)} and record_reviews.sequence ${AFTER_BASE}`;
}

export function openAttemptsQuery(
  requestId: string,
  { namespace, secret }: TargetId,
): Sql<Pick<IntentRow, 'attempt'>> {
  return sql`select attempt from open_intents where request_id = ${columnText(requestId)}
    and namespace = ${columnText(namespace)} and secret = ${columnText(secret)} and attempt > 0`;
}

/**
 * Selects the intents without an outcome, even if only a retained copy of them is left. Each intent has its own lookup.
 * With a join, PostgreSQL may read and sort all records, because it does not know how few intents are open.
 */
export function openIntentsQuery<Row = object>(
  columns: Sql = NOTHING,
): Sql<RecordText & Pick<IntentRow, 'replica'> & Row> {
  const stored = (column: Sql) => sql`coalesce(
    (select r.${column} from records r where r.sequence = open_intents.sequence and r.sequence ${AFTER_BASE}),
    (select k.${column} from kept k where k.sequence = open_intents.sequence))`;
  return sql`select * from (
      select sequence, replica, ${stored(sql`record`)} as record, ${stored(sql`hash`)} as hash ${columns}
      from open_intents
    ) open where record is not null order by sequence`;
}

export function retainedPageQuery(after: number, limit: number): Sql<RecordText & { open: number | null }> {
  return sql`select kept.sequence, record, hash, open_intents.sequence as open
    from kept left join open_intents on open_intents.sequence = kept.sequence
    where kept.sequence > ${after} order by kept.sequence limit ${limit}`;
}
