import {
  type CompiledQuery,
  type ExpressionBuilder,
  type Kysely,
  type RawBuilder,
  type SelectQueryBuilder,
  sql,
} from 'kysely';
import { AppError } from '../../core/errors.ts';
import type { TargetId } from '../../core/target.ts';
import { ACTOR_KINDS, type Action } from '../entry.ts';
import type { RecordFilter } from '../store.ts';
import {
  type AuditTables,
  type BaseRow,
  BLOCK,
  columnText,
  type FacetRow,
  type IntentRow,
  type RecordRow,
  type SourceRow,
  type SpanRow,
  type TargetRow,
  type ValueRow,
} from './tables.ts';

/** Builds and compiles the queries of an audit store, for both databases. The store runs them. */
export type AuditQueries = Kysely<AuditTables>;

export type RecordText = Pick<RecordRow, 'record' | 'hash'>;

/** Selects the newest matching copy of a pruned record. Reviews are pruned together with their records. */
export function retainedQuery(
  db: AuditQueries,
  filter: RecordFilter,
  actions: readonly Action[],
): CompiledQuery<RecordText> {
  return retainedSelection(db, filter, actions).compile();
}

export function retainedSelection(
  db: AuditQueries,
  filter: RecordFilter,
  actions: readonly Action[],
): SelectQueryBuilder<AuditTables, 'kept', RecordText> {
  let query = db
    .selectFrom('kept')
    .select(['kept.record', 'kept.hash'])
    .where('kept.action', 'in', actions)
    .orderBy('kept.sequence', 'desc')
    .limit(1);
  for (const [column, operator, value] of columnConditions(filter))
    query = query.where(`kept.${column}`, operator, value);
  const { request, fingerprint, store, key, version } = filter;
  if (request !== undefined) query = query.where('kept.request_id', '=', columnText(request));
  for (const condition of textConditions(filter, 'kept')) query = query.where(condition);
  if (fingerprint !== undefined)
    query = query.where((eb) =>
      eb.or([
        eb('kept.fingerprint_before', '=', fingerprint),
        eb('kept.fingerprint_after', '=', fingerprint),
        eb(
          'kept.sequence',
          'in',
          eb.selectFrom('kept_values').select('kept_values.sequence').where('fingerprint', '=', fingerprint),
        ),
      ]),
    );
  if (store !== undefined || key !== undefined || version !== undefined)
    query = query.where(
      'kept.sequence',
      'in',
      db.selectFrom('kept_sources').select('kept_sources.sequence').where(sameSource(filter)),
    );
  return query;
}

/**
 * Conditions on fields without a column. They are only used together with a target. The text of a record is canonical
 * JSON, so a member always has this exact form. The pattern cannot match elsewhere: quotation marks within texts are
 * escaped, and the members of `values` have fingerprints as values.
 */
export function textConditions(
  { phase, instance }: RecordFilter,
  table: 'records' | 'kept',
): readonly RawBuilder<boolean>[] {
  return Object.entries({ phase, instance }).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const member = `${JSON.stringify(name)}:${JSON.stringify(value)}`;
    const text = sql.ref(`${table}.record`);
    return [sql<boolean>`replace(${text}, ${member}, '') <> ${text}`];
  });
}

/**
 * All conditions must hold for the same source. For example, `--store a --key b` must not match a record with one
 * source in store `a` and a key `b` in another store.
 */
function sameSource({ store, key, version }: RecordFilter) {
  return (eb: ExpressionBuilder<AuditTables, 'record_sources' | 'kept_sources'>) =>
    eb.and(
      Object.entries({ store, key, version }).flatMap(([column, value]) =>
        value === undefined ? [] : [eb(column as 'store' | 'key' | 'version', '=', columnText(value))],
      ),
    );
}

type FilterColumn =
  | 'time'
  | 'actor_kind'
  | 'actor_name'
  | 'mapping'
  | 'namespace'
  | 'secret'
  | 'action'
  | 'outcome'
  | 'code';

type Condition = readonly [column: FilterColumn, operator: '=' | '>=' | '<=', value: string];

/** The conditions of a filter that concern a single column. These columns exist in several tables. */
export function columnConditions(filter: RecordFilter): readonly Condition[] {
  const { since, until, actor, mapping, namespace, secret, action, outcome, code } = filter;
  // Compare one column and not either of two, so that the column's index returns the records in order.
  const isKind = (ACTOR_KINDS as readonly (string | undefined)[]).includes(actor);
  const all = {
    [isKind ? 'actor_kind' : 'actor_name']: actor,
    mapping,
    namespace,
    secret,
    action,
    outcome,
    code,
  };
  return [
    ...(since === undefined ? [] : [['time', '>=', instant(since)] as const]),
    ...(until === undefined ? [] : [['time', '<=', instant(until)] as const]),
    ...Object.entries(all).flatMap(([column, value]) =>
      value === undefined ? [] : [[column as FilterColumn, '=', columnText(value)] as const],
    ),
  ];
}

/** All stored times have the same format, so they can be compared as text. */
function instant(time: string): string {
  const parsed = new Date(time);
  if (Number.isNaN(parsed.getTime()))
    throw new AppError('INTERNAL', { detail: 'a filter has an invalid time' });
  return parsed.toISOString();
}

export function targetsQuery(db: AuditQueries): CompiledQuery<TargetRow> {
  return db.selectFrom('targets').select(['namespace', 'secret']).compile();
}

export function recordQuery(db: AuditQueries, sequence: number): CompiledQuery<RecordText> {
  const query = db.selectFrom('records').select(['record', 'hash']).where('sequence', '=', sequence);
  return query.where('sequence', '>', (eb) => eb.selectFrom('base').select('base.sequence')).compile();
}

/** Selects whole rows, oldest first, because verification compares the columns with the text. */
export function scanQuery(db: AuditQueries, from: number, limit: number): CompiledQuery<RecordRow> {
  const query = db.selectFrom('records').selectAll().where('sequence', '>=', from);
  return query.orderBy('sequence').limit(limit).compile();
}

export function sourcesQuery(db: AuditQueries, from: number, to: number): CompiledQuery<SourceRow> {
  const query = db.selectFrom('record_sources').selectAll();
  return query.where('sequence', '>=', from).where('sequence', '<=', to).compile();
}

export function valuesQuery(db: AuditQueries, from: number, to: number): CompiledQuery<ValueRow> {
  const query = db.selectFrom('record_values').selectAll();
  return query.where('sequence', '>=', from).where('sequence', '<=', to).compile();
}

/** Selects the facet rows of these records. */
export function facetsQuery(db: AuditQueries, sequences: readonly number[]): CompiledQuery<FacetRow> {
  return db.selectFrom('facets').selectAll().where('sequence', 'in', sequences).compile();
}

/** Selects the facet rows of a range of records. */
export function facetRangeQuery(db: AuditQueries, from: number, to: number): CompiledQuery<FacetRow> {
  const query = db.selectFrom('facets').selectAll();
  return query.where('sequence', '>=', from).where('sequence', '<=', to).compile();
}

export function spansQuery(db: AuditQueries, from: number, to: number): CompiledQuery<SpanRow> {
  const query = db
    .selectFrom('spans')
    .selectAll()
    .where('block', '>=', Math.floor(from / BLOCK));
  return query.where('block', '<=', Math.floor(to / BLOCK)).compile();
}

export function recordsQuery(
  db: AuditQueries,
  sequences: readonly number[],
): CompiledQuery<RecordText & Pick<RecordRow, 'sequence'>> {
  const query = db.selectFrom('records').select(['sequence', 'record', 'hash']);
  return query.where('sequence', 'in', sequences).compile();
}

/** Selects the last review of each of these records, except pruned reviews. */
export function reviewsQuery(
  db: AuditQueries,
  sequences: readonly number[],
): CompiledQuery<RecordText & { reviewed: number }> {
  return db
    .selectFrom('facets')
    .innerJoin('records', 'records.sequence', 'facets.review')
    .select(['records.record', 'records.hash', 'facets.sequence as reviewed'])
    .where('facets.sequence', 'in', sequences)
    .where('facets.sequence', '>', (eb) => eb.selectFrom('base').select('base.sequence'))
    .compile();
}

export function openIntentsQuery(db: AuditQueries): CompiledQuery<RecordText & Pick<IntentRow, 'replica'>> {
  return db
    .selectFrom('open_intents')
    .innerJoin('records', 'records.sequence', 'open_intents.sequence')
    .select(['records.record', 'records.hash', 'open_intents.replica'])
    .where('open_intents.sequence', '>', (eb) => eb.selectFrom('base').select('base.sequence'))
    .orderBy('open_intents.sequence')
    .compile();
}

export function openAttemptsQuery(
  db: AuditQueries,
  requestId: string,
  { namespace, secret }: TargetId,
): CompiledQuery<Pick<IntentRow, 'attempt'>> {
  return db
    .selectFrom('open_intents')
    .select('attempt')
    .where('request_id', '=', columnText(requestId))
    .where('namespace', '=', columnText(namespace))
    .where('secret', '=', columnText(secret))
    .compile();
}

/** Selects the open intents among the copies of pruned records. */
export function retainedIntentsQuery(
  db: AuditQueries,
): CompiledQuery<RecordText & Pick<IntentRow, 'replica'>> {
  return db
    .selectFrom('open_intents')
    .innerJoin('kept', 'kept.sequence', 'open_intents.sequence')
    .select(['kept.record', 'kept.hash', 'open_intents.replica'])
    .orderBy('open_intents.sequence')
    .compile();
}

export function intentsUntilQuery(db: AuditQueries, until: number): CompiledQuery<{ sequence: number }> {
  return db.selectFrom('open_intents').select('sequence').where('sequence', '<=', until).compile();
}

export function headQuery(db: AuditQueries): CompiledQuery<{ sequence: number; hash: string }> {
  return db.selectFrom('head').select(['sequence', 'hash']).compile();
}

export function baseQuery(db: AuditQueries): CompiledQuery<Pick<BaseRow, 'sequence' | 'hash' | 'moving'>> {
  return db.selectFrom('base').select(['sequence', 'hash', 'moving']).compile();
}

export function retainedPageQuery(
  db: AuditQueries,
  after: number,
  limit: number,
): CompiledQuery<RecordText & { sequence: number; open: number | null }> {
  return db
    .selectFrom('kept')
    .leftJoin('open_intents', 'open_intents.sequence', 'kept.sequence')
    .select(['kept.sequence', 'kept.record', 'kept.hash', 'open_intents.sequence as open'])
    .where('kept.sequence', '>', after)
    .orderBy('kept.sequence')
    .limit(limit)
    .compile();
}
