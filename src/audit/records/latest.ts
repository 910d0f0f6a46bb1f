import { type CompiledQuery, type RawBuilder, sql } from 'kysely';
import type { Action } from '../entry.ts';
import { auditUnavailable } from '../errors.ts';
import type { RecordFilter } from '../store.ts';
import { type AuditQueries, retainedQuery, retainedSelection, type RecordText } from './queries.ts';
import {
  type RunQuery,
  and,
  matchesCriteria,
  sourceConditions,
  type SearchContext,
  search,
  type Template,
} from './search.ts';
import { columnText } from './tables.ts';

/** Up to this many records of a subject are examined directly. */
const MAX_CANDIDATES = 3_000;

export interface LatestOptions {
  readonly maxCandidates?: number;
}

/**
 * The newest record that matches, or else the newest retained copy. It is called several times before each read of a
 * value and each write of a target. For one key or target it is one query, and its text is built once.
 */
export async function latest(
  context: SearchContext,
  filter: RecordFilter,
  actions: readonly Action[],
  options: LatestOptions = {},
): Promise<RecordText | undefined> {
  const {
    db,
    runQuery: ask,
    runTemplate: askOfOne = (template, values) => runSingle(ask, template, values),
  } = context;
  if (hasSingleSubject(filter)) {
    const { maxCandidates: few = MAX_CANDIDATES } = options;
    const [template, values] = templateFor(db, filter, actions, few);
    const row: LatestRow | undefined = await askOfOne(template, values);
    // The query always returns one row, so a missing row is not "no record".
    if (row === undefined) throw auditUnavailable('the database returned no answer to a query');
    const { record, hash, kept_record, kept_hash, fitting = 0 } = row;
    if (typeof record === 'string' && typeof hash === 'string') return { record, hash };
    // If the subject has more records than were examined, finding none proves nothing.
    if (Number(fitting) < few)
      return typeof kept_record === 'string' && typeof kept_hash === 'string'
        ? { record: kept_record, hash: kept_hash }
        : undefined;
  }
  const [found] = await search(context, filter, { limit: 1 }, actions);
  return found ?? (await ask(retainedQuery(db, filter, actions)))[0];
}

export interface LatestRow extends Partial<RecordText> {
  /** How many records the subject has, at most `maxCandidates`. */
  readonly fitting?: number;
  readonly kept_record?: string | null;
  readonly kept_hash?: string | null;
}

/** Whether the filter is about one key or one target, without a time range. */
function hasSingleSubject({
  key,
  namespace,
  secret,
  since,
  until,
  request,
  fingerprint,
  review,
}: RecordFilter): boolean {
  const isNamed = key !== undefined || (namespace !== undefined && secret !== undefined);
  return isNamed && [since, until, request, fingerprint, review].every((it) => it === undefined);
}

/** Filter members that differ between calls. They become parameters of the query. */
const PARAMETER_NAMES = ['mapping', 'namespace', 'secret', 'store', 'key', 'version'] as const;
type ParameterName = (typeof PARAMETER_NAMES)[number];

/** Stands for a value while a template is built. No other text in a query looks like this. */
const placeholder = (name: ParameterName): string => `\u0001${name}`;
const NAMES_BY_PLACEHOLDER: ReadonlyMap<unknown, ParameterName> = new Map(
  PARAMETER_NAMES.map((name) => [placeholder(name), name]),
);

const templatesByDatabase = new WeakMap<AuditQueries, Map<string, Template>>();

/** Building a query takes longer than running most of them. */
function templateFor(
  db: AuditQueries,
  filter: RecordFilter,
  actions: readonly Action[],
  few: number,
): readonly [Template, readonly string[]] {
  const templates = templatesByDatabase.get(db) ?? new Map<string, Template>();
  templatesByDatabase.set(db, templates);
  const names = PARAMETER_NAMES.filter((name) => filter[name] !== undefined);
  const shape: RecordFilter = { ...filter, ...Object.fromEntries(names.map((it) => [it, placeholder(it)])) };
  const id = JSON.stringify([shape, actions, few]);
  const template = templates.get(id) ?? templateOf(newestQuery(db, shape, actions, few), names);
  templates.set(id, template);
  return [template, names.map((name) => columnText(filter[name] ?? ''))];
}

function templateOf(query: CompiledQuery<LatestRow>, names: readonly ParameterName[]): Template {
  const places = query.parameters.map((parameter) => {
    const name = NAMES_BY_PLACEHOLDER.get(parameter);
    return name === undefined ? undefined : names.indexOf(name);
  });
  return { query, valueIndexes: places };
}

async function runSingle(
  ask: RunQuery,
  template: Template,
  values: readonly string[],
): Promise<LatestRow | undefined> {
  const [row] = await ask<LatestRow>({ ...template.query, parameters: parametersOf(template, values) });
  return row;
}

/** The parameters of a template with these values. */
export function parametersOf(
  { query, valueIndexes: places }: Template,
  values: readonly string[],
): readonly unknown[] {
  return query.parameters.map((parameter, index) => values[places[index] ?? -1] ?? parameter);
}

function newestQuery(
  db: AuditQueries,
  filter: RecordFilter,
  actions: readonly Action[],
  few: number,
): CompiledQuery<LatestRow> {
  const candidates = sql`(select sequence from ${subjectRecords(filter)}
    and sequence > (select coalesce(max(sequence), 0) from base)
    order by sequence desc limit ${sql.lit(few)}) few`;
  const matching = matchesCriteria({ filter, actions, ascending: false });
  const kept = retainedSelection(db, filter, actions).clearSelect().select('kept.sequence');
  // Scalar subqueries, because SQLite would materialize joined subqueries.
  return sql<LatestRow>`
    select found.fitting, records.record, records.hash, kept.record as kept_record, kept.hash as kept_hash
    from (select (select count(*) from ${candidates}) as fitting, (
        select few.sequence from ${candidates} cross join facets cross join records
        where facets.sequence = few.sequence and records.sequence = few.sequence and ${matching}
        order by few.sequence desc limit 1
      ) as newest, ${kept} as gone) found
    left join records on records.sequence = found.newest
    left join kept on kept.sequence = found.gone`.compile(db);
}

/** The records of the key or target, by an index in sequence order. */
function subjectRecords(filter: RecordFilter): RawBuilder<unknown> {
  const { key, secret = '', namespace = '' } = filter;
  if (key !== undefined) return sql`record_sources where ${and(sourceConditions(filter))}`;
  return sql`records where secret = ${columnText(secret)} and namespace = ${columnText(namespace)}`;
}
