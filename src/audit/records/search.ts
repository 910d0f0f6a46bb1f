import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { type CompiledQuery, type RawBuilder, sql } from 'kysely';
import type { Action } from '../entry.ts';
import type { Page, RecordFilter } from '../store.ts';
import { type AuditQueries, columnConditions, type RecordText, textConditions } from './queries.ts';
import { BLOCK, columnText, SEVERAL_STORES } from './tables.ts';

/** Runs one compiled query. */
export type RunQuery = <Row>(query: CompiledQuery<Row>) => Promise<readonly Row[]>;

/** A query whose SQL text is the same for all subjects. */
export interface Template {
  readonly query: CompiledQuery<unknown>;
  /** For each parameter: the index of the value that replaces it, if any. */
  readonly valueIndexes: readonly (number | undefined)[];
}

/** The database functions that a search needs. */
export interface SearchContext {
  readonly db: AuditQueries;
  readonly runQuery: RunQuery;
  /** Runs a template that returns one row. By default, `runQuery` runs it. */
  readonly runTemplate?: (template: Template, values: readonly string[]) => Promise<object | undefined>;
  readonly fingerprintQuery: FingerprintQuery;
}

/** Builds a query for the records with a fingerprint. The query uses the database's fingerprint indexes. */
export type FingerprintQuery = (fingerprint: string, within?: Range) => CandidateQuery;

export interface SearchLimits {
  /** Up to this many records of a subject are examined directly. */
  readonly maxCandidates: number;
  /**
   * The number of records that the first, second and each further query scans. Other work can run between two queries.
   */
  readonly windows: readonly [number, ...number[]];
}

const DEFAULT_LIMITS: SearchLimits = { maxCandidates: 3_000, windows: [4_000, 40_000, 150_000] };

/**
 * Finds records by combined filters in bounded time, without relying on the database's statistics. A database usually
 * chooses the right index when several conditions apply. It chooses badly for rare results, which are common in an
 * audit.
 *
 * If an index shows that one condition matches few records, only these are examined. Otherwise the small table `facets`
 * is scanned in the requested order, one window at a time, until the page is full. Frequent results are found soon. A
 * search without results scans `facets` once.
 */
export async function search(
  context: SearchContext,
  filter: RecordFilter,
  page: Page,
  actions?: readonly Action[],
  limits = DEFAULT_LIMITS,
): Promise<readonly RecordText[]> {
  const { runQuery } = context;
  const { after, before } = await boundsOf(context, filter, page);
  const criteria: SearchCriteria = { filter, actions, ascending: page.after !== undefined };
  const results: RecordText[] = [];
  let from = criteria.ascending ? after + 1 : before - 1;
  for (let window = 0; results.length < page.limit && from > after && from < before; window += 1) {
    if (window === (isNarrow(filter) ? 0 : 1)) {
      const candidates = await smallestCandidateQuery(context, filter, limits.maxCandidates);
      if (candidates === 'none') return results;
      if (candidates !== undefined) {
        const range = criteria.ascending ? { after: from - 1, before } : { after, before: from + 1 };
        const rest = page.limit - results.length;
        return [
          ...results,
          ...(await runQuery(candidatesQuery(context.db, candidates, criteria, range, rest))),
        ];
      }
    }
    const size = limits.windows[window] ?? limits.windows.at(-1) ?? 1;
    const range = criteria.ascending
      ? { after: from - 1, before: Math.min(before, from + size) }
      : { after: Math.max(after, from - size), before: from + 1 };
    results.push(...(await runQuery(windowQuery(context, criteria, range, page.limit - results.length))));
    from = criteria.ascending ? range.before : range.after;
    await yieldToEventLoop();
  }
  return results;
}

/**
 * Whether the filter has a condition that seldom matches many records. The scan of the newest records is then skipped.
 */
function isNarrow({ request, fingerprint, key, mapping, secret }: RecordFilter): boolean {
  return [request, fingerprint, key, mapping, secret].some((value) => value !== undefined);
}

export interface SearchCriteria {
  readonly filter: RecordFilter;
  readonly actions: readonly Action[] | undefined;
  /** Whether results are ordered oldest first. */
  readonly ascending: boolean;
}

/** A range of sequence numbers that excludes both ends. */
export interface Range {
  readonly after: number;
  readonly before: number;
}

/**
 * Returns the range that can contain results. It is limited by the page, the log, the time range, and the first and
 * last record of the store. The store's limit helps if the store is new, retired or unknown.
 */
async function boundsOf({ db, runQuery }: SearchContext, filter: RecordFilter, page: Page): Promise<Range> {
  const times = columnConditions(filter).filter(([column]) => column === 'time');
  const fitting = times.map(([, operator, value]) =>
    operator === '<=' ? sql`since <= ${value}` : sql`until >= ${value}`,
  );
  const blocks = sql`from spans where ${and(fitting)}`;
  const timed = sql`, (select min(block) ${blocks}) as first, (select max(block) ${blocks}) as last`;
  const { store } = filter;
  const stored = sql`from record_sources where store = ${columnText(store ?? '')}`;
  const ofStore = sql`, (select min(sequence) ${stored}) as oldest, (select max(sequence) ${stored}) as newest`;
  const [row] = await runQuery(
    sql<Bounds>`select (select sequence from base) as base, (select sequence from head) as head
      ${times.length === 0 ? sql`` : timed} ${store === undefined ? sql`` : ofStore}`.compile(db),
  );
  const { base, head, first, last, oldest, newest } = row ?? {};
  const ends = [
    page.before,
    (head ?? 0) + 1,
    last === undefined ? undefined : ((last ?? -1) + 1) * BLOCK,
    newest === undefined ? undefined : (newest ?? 0) + 1,
  ];
  return {
    after: Math.max(page.after ?? 0, base ?? 0, (first ?? 0) * BLOCK - 1, (oldest ?? 0) - 1),
    before: Math.min(...ends.filter((end) => end !== undefined)),
  };
}

interface Bounds {
  readonly base?: number | null;
  readonly head?: number | null;
  readonly first?: number | null;
  readonly last?: number | null;
  readonly oldest?: number | null;
  readonly newest?: number | null;
}

/** A query for the sequence numbers of the records that match one condition, by the index of this condition. */
export type CandidateQuery = RawBuilder<unknown>;

/**
 * Returns the candidate query with the fewest records, if there are fewer than `maxCandidates`. Returns `none` if one
 * of the conditions matches no record.
 */
async function smallestCandidateQuery(
  { db, runQuery, fingerprintQuery }: SearchContext,
  filter: RecordFilter,
  maxCandidates: number,
): Promise<CandidateQuery | 'none' | undefined> {
  const candidates = candidateQueries(filter, fingerprintQuery);
  if (candidates.length === 0) return undefined;
  const counts = candidates.map((candidates, index) => {
    const name = sql.ref(`c${index}`);
    return sql`(select count(*) from (select 1 from (${candidates}) fitting limit ${sql.lit(maxCandidates)}) matched) as ${name}`;
  });
  const [row] = await runQuery(sql<Record<string, number>>`select ${sql.join(counts)}`.compile(db));
  const numbers = candidates.map((_, index) => Number(row?.[`c${index}`]));
  const least = Math.min(...numbers);
  if (least === 0 && maxCandidates > 0) return 'none';
  return least < maxCandidates ? candidates[numbers.indexOf(least)] : undefined;
}

function candidateQueries(
  filter: RecordFilter,
  fingerprintQuery: FingerprintQuery,
): readonly CandidateQuery[] {
  const { request, fingerprint, review } = filter;
  const all = columnConditions(filter);
  const each = all.filter(([column]) => column !== 'time').map((condition) => [condition]);
  const times = all.filter(([column]) => column === 'time');
  const candidates = [...each, ...(times.length === 0 ? [] : [times])].map(
    (group) =>
      sql`select sequence from records where ${and(group.map(([column, operator, value]) => sql`${sql.ref(column)} ${sql.raw(operator)} ${value}`))}`,
  );
  if (request !== undefined)
    candidates.push(sql`select sequence from records where request_id = ${columnText(request)}`);
  if (fingerprint !== undefined) candidates.push(fingerprintQuery(fingerprint));
  const source = sourceConditions(filter);
  if (source.length > 0) candidates.push(sql`select sequence from record_sources where ${and(source)}`);
  if (review !== undefined) candidates.push(sql`select sequence from facets where state = ${review}`);
  return candidates;
}

/**
 * Uses one index for each column. The search passes a range, because very many records may share a value such as an
 * empty string, a port or a flag.
 */
export function indexedFingerprintQuery(fingerprint: string, range?: Range): CandidateQuery {
  const within = range === undefined ? sql`1 = 1` : inRange(range);
  return sql`select sequence from records where fingerprint_before = ${fingerprint} and ${within}
    union all select sequence from records where fingerprint_after = ${fingerprint} and ${within}
    union all select sequence from record_values where fingerprint = ${fingerprint} and ${within}`;
}

export function inRange({ after, before }: Range): RawBuilder<unknown> {
  return sql`sequence > ${after} and sequence < ${before}`;
}

/**
 * All conditions must hold for the same source. For example, `--store a --key b` must not match a record with one
 * source in store `a` and a key `b` in another store.
 */
export function sourceConditions({ store, key, version }: RecordFilter): readonly RawBuilder<unknown>[] {
  return Object.entries({ store, key, version }).flatMap(([column, value]) =>
    value === undefined ? [] : [sql`${sql.ref(`record_sources.${column}`)} = ${columnText(value)}`],
  );
}

function candidatesQuery(
  db: AuditQueries,
  candidates: CandidateQuery,
  criteria: SearchCriteria,
  { after, before }: Range,
  limit: number,
): CompiledQuery<RecordText> {
  // SQLite joins the tables of a `cross join` in the written order, regardless of its statistics.
  return sql<RecordText>`
    select records.record, records.hash
    from (select distinct sequence from (${candidates}) fitting) matched cross join facets cross join records
    where matched.sequence > ${after} and matched.sequence < ${before}
      and facets.sequence = matched.sequence and records.sequence = matched.sequence and ${matchesCriteria(criteria)}
    order by matched.sequence ${order(criteria)} limit ${limit}`.compile(db);
}

function windowQuery(
  { db, fingerprintQuery }: SearchContext,
  criteria: SearchCriteria,
  range: Range,
  limit: number,
): CompiledQuery<RecordText> {
  const { key, fingerprint } = criteria.filter;
  // These indexes return records in sequence order, and `facets` could not narrow the result further.
  if (fingerprint !== undefined)
    return candidatesQuery(db, fingerprintQuery(fingerprint, range), criteria, range, limit);
  if (key !== undefined) {
    const candidates = sql`select sequence from record_sources where ${inRange(range)} and ${and(sourceConditions(criteria.filter))}`;
    return candidatesQuery(db, candidates, criteria, range, limit);
  }
  return sql<RecordText>`
    select records.record, records.hash from facets cross join records
    where facets.sequence > ${range.after} and facets.sequence < ${range.before}
      and records.sequence = facets.sequence and ${matchesCriteria(criteria)}
    order by facets.sequence ${order(criteria)} limit ${limit}`.compile(db);
}

function order({ ascending }: SearchCriteria): RawBuilder<unknown> {
  return ascending ? sql`asc` : sql`desc`;
}

/** All conditions of the search, for a row of `facets` joined with its row of `records`. */
export function matchesCriteria({ filter, actions }: SearchCriteria): RawBuilder<unknown> {
  const { request, fingerprint, review, store } = filter;
  const parts = columnConditions(filter).map(
    ([column, operator, value]) => sql`${sql.ref(`facets.${column}`)} ${sql.raw(operator)} ${value}`,
  );
  if (actions !== undefined)
    parts.push(actions.length === 0 ? sql`1 = 0` : sql`facets.action in (${sql.join(actions)})`);
  // `coalesce` prevents use of the index. Most records are unreviewed, so scanning `facets` in order is faster.
  if (review === 'unreviewed') parts.push(sql`coalesce(facets.state, '') = ${review}`);
  else if (review !== undefined) parts.push(sql`facets.state = ${review}`);
  const source = sourceConditions(filter);
  if (source.length > 0) {
    const hasSource = sql`exists (select 1 from record_sources
      where record_sources.sequence = facets.sequence and ${and(source)})`;
    const hasOtherConditions = source.length === 1 ? sql`1 = 1` : hasSource;
    const several = sql.lit(SEVERAL_STORES);
    if (store === undefined) parts.push(hasSource);
    else
      parts.push(
        sql`(facets.store = ${columnText(store)} and ${hasOtherConditions} or facets.store = ${several} and ${hasSource})`,
      );
  }
  // These conditions come last, because they need the record itself.
  parts.push(...textConditions(filter, 'records'));
  if (request !== undefined) parts.push(sql`records.request_id = ${columnText(request)}`);
  if (fingerprint !== undefined)
    parts.push(
      sql`(records.fingerprint_before = ${fingerprint} or records.fingerprint_after = ${fingerprint}
        or exists (select 1 from record_values
          where record_values.sequence = facets.sequence and record_values.fingerprint = ${fingerprint}))`,
    );
  return and(parts);
}

export function and(parts: readonly RawBuilder<unknown>[]): RawBuilder<unknown> {
  return parts.length === 0 ? sql`1 = 1` : sql.join([...parts], sql` and `);
}
