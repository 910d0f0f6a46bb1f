import { type CompiledQuery, type RawBuilder, sql } from 'kysely';
import type { Action } from '../entry.ts';
import { auditUnavailable } from '../errors.ts';
import type { RecordFilter } from '../store.ts';
import { type AuditQueries, type RecordText, retainedQuery, retainedSelection } from './queries.ts';
import {
  and,
  matchesCriteria,
  type RunQuery,
  type SearchContext,
  search,
  sourceConditions,
  type Template,
} from './search.ts';
import { columnText } from './tables.ts';

/** Up to this many records of a subject are examined directly. */
const MAX_CANDIDATES = 3_000;

export interface LatestOptions {
  readonly maxCandidates?: number;
}

/**
 * Returns the newest record that matches, or else the newest matching copy of a pruned record. Called several times
 * before each read of a value and each write of a target. A filter for one key or one target needs only one query, and
 * the SQL text is built once.
 */
export async function latest(
  context: SearchContext,
  filter: RecordFilter,
  actions: readonly Action[],
  options: LatestOptions = {},
): Promise<RecordText | undefined> {
  const { db, runQuery, runTemplate = (template, values) => runSingle(runQuery, template, values) } = context;
  if (hasSingleSubject(filter)) {
    const { maxCandidates = MAX_CANDIDATES } = options;
    const [template, values] = templateFor(db, filter, actions, maxCandidates);
    const row: LatestRow | undefined = await runTemplate(template, values);
    // The query always returns one row. A missing row is an error, and does not mean that there is no record.
    if (row === undefined) throw auditUnavailable('the database returned no answer to a query');
    const { record, hash, kept_record, kept_hash, fitting = 0 } = row;
    if (typeof record === 'string' && typeof hash === 'string') return { record, hash };
    // If the subject has more records than were examined, an older record may still match.
    if (Number(fitting) < maxCandidates)
      return typeof kept_record === 'string' && typeof kept_hash === 'string'
        ? { record: kept_record, hash: kept_hash }
        : undefined;
  }
  const [result] = await search(context, filter, { limit: 1 }, actions);
  return result ?? (await runQuery(retainedQuery(db, filter, actions)))[0];
}

export interface LatestRow extends Partial<RecordText> {
  /** The number of records of the subject, counted up to `maxCandidates`. */
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
  return isNamed && [since, until, request, fingerprint, review].every((member) => member === undefined);
}

/** The filter members whose values differ between calls. They become query parameters. */
const PARAMETER_NAMES = ['mapping', 'namespace', 'secret', 'store', 'key', 'version'] as const;
type ParameterName = (typeof PARAMETER_NAMES)[number];

/** Represents a value while a template is built. The control character makes it unique in a query. */
const placeholder = (name: ParameterName): string => `\u0001${name}`;
const NAMES_BY_PLACEHOLDER: ReadonlyMap<unknown, ParameterName> = new Map(
  PARAMETER_NAMES.map((name) => [placeholder(name), name]),
);

const templatesByDatabase = new WeakMap<AuditQueries, Map<string, Template>>();

/** Returns a cached template, because building a query takes longer than running most of them. */
function templateFor(
  db: AuditQueries,
  filter: RecordFilter,
  actions: readonly Action[],
  maxCandidates: number,
): readonly [Template, readonly string[]] {
  const templates = templatesByDatabase.get(db) ?? new Map<string, Template>();
  templatesByDatabase.set(db, templates);
  const names = PARAMETER_NAMES.filter((name) => filter[name] !== undefined);
  const shape: RecordFilter = {
    ...filter,
    ...Object.fromEntries(names.map((name) => [name, placeholder(name)])),
  };
  const id = JSON.stringify([shape, actions, maxCandidates]);
  const template = templates.get(id) ?? templateOf(newestQuery(db, shape, actions, maxCandidates), names);
  templates.set(id, template);
  return [template, names.map((name) => columnText(filter[name] ?? ''))];
}

function templateOf(query: CompiledQuery<LatestRow>, names: readonly ParameterName[]): Template {
  const valueIndexes = query.parameters.map((parameter) => {
    const name = NAMES_BY_PLACEHOLDER.get(parameter);
    return name === undefined ? undefined : names.indexOf(name);
  });
  return { query, valueIndexes };
}

async function runSingle(
  runQuery: RunQuery,
  template: Template,
  values: readonly string[],
): Promise<LatestRow | undefined> {
  const [row] = await runQuery<LatestRow>({ ...template.query, parameters: parametersOf(template, values) });
  return row;
}

/** Returns the parameters of a template, with the given values filled in. */
export function parametersOf(
  { query, valueIndexes }: Template,
  values: readonly string[],
): readonly unknown[] {
  return query.parameters.map((parameter, index) => values[valueIndexes[index] ?? -1] ?? parameter);
}

function newestQuery(
  db: AuditQueries,
  filter: RecordFilter,
  actions: readonly Action[],
  maxCandidates: number,
): CompiledQuery<LatestRow> {
  const candidates = sql`(select sequence from ${subjectRecords(filter)}
    and sequence > (select coalesce(max(sequence), 0) from base)
    order by sequence desc limit ${sql.lit(maxCandidates)}) candidate`;
  const matching = matchesCriteria({ filter, actions, ascending: false });
  const retained = retainedSelection(db, filter, actions).clearSelect().select('kept.sequence');
  // Scalar subqueries are used, because SQLite would materialize joined subqueries.
  return sql<LatestRow>`
    select result.fitting, records.record, records.hash, kept.record as kept_record, kept.hash as kept_hash
    from (select (select count(*) from ${candidates}) as fitting, (
        select candidate.sequence from ${candidates} cross join facets cross join records
        where facets.sequence = candidate.sequence and records.sequence = candidate.sequence and ${matching}
        order by candidate.sequence desc limit 1
      ) as newest, ${retained} as newest_retained) result
    left join records on records.sequence = result.newest
    left join kept on kept.sequence = result.newest_retained`.compile(db);
}

/** The records of the key or target. An index returns them in sequence order. */
function subjectRecords(filter: RecordFilter): RawBuilder<unknown> {
  const { key, secret = '', namespace = '' } = filter;
  if (key !== undefined) return sql`record_sources where ${and(sourceConditions(filter))}`;
  return sql`records where secret = ${columnText(secret)} and namespace = ${columnText(namespace)}`;
}
