import type { CompiledQuery, ExpressionBuilder, Kysely } from 'kysely';
import { AppError } from '../core/errors.ts';
import { ACTOR_KINDS, type Action } from './entry.ts';
import type { Page, RecordFilter } from './store.ts';
import { type AuditTables, type IntentRow, type RecordRow, type SourceRow, searchable } from './tables.ts';

/** The questions to an audit store, for any database: built and compiled here, run by the store. */
export type AuditQueries = Kysely<AuditTables>;

type Stored = Pick<RecordRow, 'record' | 'hash'>;

/** Newest first. Keyset paging: the cost of a page does not grow with its number. */
export function listQuery(
  db: AuditQueries,
  filter: RecordFilter,
  page: Page,
  actions?: readonly Action[],
): CompiledQuery<Stored> {
  let query = db
    .selectFrom('records')
    .select(['record', 'hash'])
    .orderBy('sequence', 'desc')
    .limit(page.limit);
  if (page.before !== undefined) query = query.where('sequence', '<', page.before);
  if (actions !== undefined) query = query.where('action', 'in', actions);
  if (filter.since !== undefined) query = query.where('time', '>=', instant(filter.since));
  if (filter.until !== undefined) query = query.where('time', '<=', instant(filter.until));
  for (const [column, value] of equalities(filter)) query = query.where(column, '=', searchable(value));
  const { fingerprint, store, key, version } = filter;
  if (fingerprint !== undefined) {
    query = query.where((eb) =>
      eb.or([eb('fingerprint_before', '=', fingerprint), eb('fingerprint_after', '=', fingerprint)]),
    );
  }
  if (key !== undefined) query = query.where('sequence', 'in', sourceSequences(db, filter));
  else if (store !== undefined || version !== undefined) query = query.where(isSource(filter));
  return query.compile();
}

/** One source must match all: `--store a --key b` is not "something of a, and b from anywhere". */
function sourceSequences(db: AuditQueries, filter: RecordFilter) {
  return db.selectFrom('record_sources').select('sequence').where(sameSource(filter));
}

/**
 * For a filter without a key, which may fit most of the log: a list of all that fits would cost more than to look
 * at the newest records one by one. The bounds keep that short for a store that is new, retired or not there.
 */
function isSource(filter: RecordFilter) {
  return (eb: ExpressionBuilder<AuditTables, 'records'>) => {
    const fitting = eb.selectFrom('record_sources').where(sameSource(filter));
    const first = fitting.select(({ fn }) => fn.min<number>('record_sources.sequence').as('sequence'));
    const last = fitting.select(({ fn }) => fn.max<number>('record_sources.sequence').as('sequence'));
    const one = fitting.select('record_sources.sequence');
    return eb.and([
      eb('records.sequence', '>=', first),
      eb('records.sequence', '<=', last),
      eb.exists(one.whereRef('record_sources.sequence', '=', 'records.sequence')),
    ]);
  };
}

function sameSource({ store, key, version }: RecordFilter) {
  return (eb: ExpressionBuilder<AuditTables, 'record_sources'>) =>
    eb.and(
      Object.entries({ store, key, version }).flatMap(([column, value]) =>
        value === undefined ? [] : [eb(column as 'store' | 'key' | 'version', '=', searchable(value))],
      ),
    );
}

type EqualColumn =
  | 'actor_kind'
  | 'actor_name'
  | 'mapping'
  | 'namespace'
  | 'secret'
  | 'action'
  | 'outcome'
  | 'code'
  | 'request_id';

function equalities(filter: RecordFilter): readonly (readonly [EqualColumn, string])[] {
  const { actor, mapping, namespace, secret, action, outcome, code, request } = filter;
  // One column, not either of two, so that its index gives the records in order.
  const actorColumn = (ACTOR_KINDS as readonly (string | undefined)[]).includes(actor)
    ? 'actor_kind'
    : 'actor_name';
  const all = {
    [actorColumn]: actor,
    mapping,
    namespace,
    secret,
    action,
    outcome,
    code,
    request_id: request,
  };
  return Object.entries(all).flatMap(([column, value]) =>
    value === undefined ? [] : [[column as EqualColumn, value] as const],
  );
}

/** Stored times have one form, so that they compare as text. */
function instant(time: string): string {
  const parsed = new Date(time);
  if (Number.isNaN(parsed.getTime()))
    throw new AppError('INTERNAL', { detail: 'a filter holds no valid time' });
  return parsed.toISOString();
}

const CHANGES: readonly Action[] = ['create', 'update', 'adopt', 'repair', 'rollback'];

export function targetsQuery(
  db: AuditQueries,
): CompiledQuery<{ namespace: string | null; secret: string | null }> {
  const query = db.selectFrom('records').select(['namespace', 'secret']).distinct();
  return query.where('secret', 'is not', null).where('action', 'in', CHANGES).compile();
}

export function recordQuery(db: AuditQueries, sequence: number): CompiledQuery<Stored> {
  return db.selectFrom('records').select(['record', 'hash']).where('sequence', '=', sequence).compile();
}

/** Oldest first, whole rows: what is proved is compared with what is searched by. */
export function scanQuery(db: AuditQueries, from: number, limit: number): CompiledQuery<RecordRow> {
  const query = db.selectFrom('records').selectAll().where('sequence', '>=', from);
  return query.orderBy('sequence').limit(limit).compile();
}

export function sourcesQuery(db: AuditQueries, from: number, to: number): CompiledQuery<SourceRow> {
  const query = db.selectFrom('record_sources').selectAll();
  return query.where('sequence', '>=', from).where('sequence', '<=', to).compile();
}

export function openIntentsQuery(db: AuditQueries): CompiledQuery<Stored & Pick<IntentRow, 'replica'>> {
  return db
    .selectFrom('open_intents')
    .innerJoin('records', 'records.sequence', 'open_intents.sequence')
    .select(['records.record', 'records.hash', 'open_intents.replica'])
    .orderBy('open_intents.sequence')
    .compile();
}

export function headQuery(db: AuditQueries): CompiledQuery<{ sequence: number; hash: string }> {
  return db.selectFrom('head').select(['sequence', 'hash']).compile();
}
