import { setImmediate as nextTurn } from 'node:timers/promises';
import { type CompiledQuery, type RawBuilder, sql } from 'kysely';
import type { Action } from '../entry.ts';
import type { Page, RecordFilter } from '../store.ts';
import { type AuditQueries, conditions, inText, type Stored } from './queries.ts';
import { BLOCK, SEVERAL, searchable } from './tables.ts';

/** Runs one query of ours. */
export type Ask = <Row>(query: CompiledQuery<Row>) => Promise<readonly Row[]>;

/** A query about one of many things, whose text is the same for all of them. */
export interface Template {
  readonly query: CompiledQuery<unknown>;
  /** Of each parameter: which of the values takes its place, if one does. */
  readonly places: readonly (number | undefined)[];
}

/** A database to search in. */
export interface Searched {
  readonly db: AuditQueries;
  readonly ask: Ask;
  /** Asks a template, which gives one row, of one thing. Left out: as any other query. */
  readonly askOfOne?: (template: Template, values: readonly string[]) => Promise<object | undefined>;
  readonly ofFingerprint: OfFingerprint;
}

/** A query for the records that name a fingerprint, by its indexes. */
export type OfFingerprint = (fingerprint: string, within?: Range) => Driver;

export interface Effort {
  /** Fewer records than this are a few: they are all looked at. */
  readonly few: number;
  /** How many records are looked at in one go, from the end of the log on: others get their turn in between. */
  readonly windows: readonly [number, ...number[]];
}

const EFFORT: Effort = { few: 3_000, windows: [4_000, 40_000, 150_000] };

/**
 * Finds records by filters that combine, in bounded time whatever they are, and without statistics of the data: a
 * database that has to choose an index for several conditions chooses well for most questions, and badly for those
 * whose answer is rare, which people ask an audit.
 *
 * If one of the conditions fits only a few records, by its index, those are looked at. Otherwise the facets are
 * walked in the order asked for, a window at a time, until the page is full: soon for what is frequent, and at the
 * cost of one walk over a small table for what is not there.
 */
export async function search(
  searched: Searched,
  filter: RecordFilter,
  page: Page,
  actions?: readonly Action[],
  effort = EFFORT,
): Promise<readonly Stored[]> {
  const { ask } = searched;
  const { after, before } = await boundsOf(searched, filter, page);
  const question: Question = { filter, actions, upwards: page.after !== undefined };
  const found: Stored[] = [];
  let from = question.upwards ? after + 1 : before - 1;
  for (let window = 0; found.length < page.limit && from > after && from < before; window += 1) {
    if (window === (isNarrow(filter) ? 0 : 1)) {
      const driver = await smallest(searched, filter, effort.few);
      if (driver === 'none') return found;
      if (driver !== undefined) {
        const range = question.upwards ? { after: from - 1, before } : { after, before: from + 1 };
        const rest = page.limit - found.length;
        return [...found, ...(await ask(fewQuery(searched.db, driver, question, range, rest)))];
      }
    }
    const size = effort.windows[window] ?? effort.windows.at(-1) ?? 1;
    const range = question.upwards
      ? { after: from - 1, before: Math.min(before, from + size) }
      : { after: Math.max(after, from - size), before: from + 1 };
    found.push(...(await ask(windowQuery(searched, question, range, page.limit - found.length))));
    from = question.upwards ? range.before : range.after;
    await nextTurn();
  }
  return found;
}

/** Such a condition seldom fits many; the newest records are not looked at first, then. */
function isNarrow({ request, fingerprint, key, mapping, secret }: RecordFilter): boolean {
  return [request, fingerprint, key, mapping, secret].some((value) => value !== undefined);
}

export interface Question {
  readonly filter: RecordFilter;
  readonly actions: readonly Action[] | undefined;
  /** The oldest first. */
  readonly upwards: boolean;
}

/** Both ends excluded. */
export interface Range {
  readonly after: number;
  readonly before: number;
}

/**
 * Between which records the answer lies: of the page, of the log, of the blocks that a time can be in, and of the
 * first and the last that a store was in, which is short for one that is new, retired or not there.
 */
async function boundsOf({ db, ask }: Searched, filter: RecordFilter, page: Page): Promise<Range> {
  const times = conditions(filter).filter(([column]) => column === 'time');
  const fitting = times.map(([, operator, value]) =>
    operator === '<=' ? sql`since <= ${value}` : sql`until >= ${value}`,
  );
  const blocks = sql`from spans where ${and(fitting)}`;
  const timed = sql`, (select min(block) ${blocks}) as first, (select max(block) ${blocks}) as last`;
  const { store } = filter;
  const stored = sql`from record_sources where store = ${searchable(store ?? '')}`;
  const ofStore = sql`, (select min(sequence) ${stored}) as oldest, (select max(sequence) ${stored}) as newest`;
  const [row] = await ask(
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

/** A query for the sequences that fit one condition, by its index. */
export type Driver = RawBuilder<unknown>;

/** The driver with the fewest records, if that is few; `none`: nothing fits one of the conditions. */
async function smallest(
  { db, ask, ofFingerprint }: Searched,
  filter: RecordFilter,
  few: number,
): Promise<Driver | 'none' | undefined> {
  const drivers = driversOf(filter, ofFingerprint);
  if (drivers.length === 0) return undefined;
  const counts = drivers.map((driver, index) => {
    const name = sql.ref(`c${index}`);
    return sql`(select count(*) from (select 1 from (${driver}) fitting limit ${sql.lit(few)}) few) as ${name}`;
  });
  const [row] = await ask(sql<Record<string, number>>`select ${sql.join(counts)}`.compile(db));
  const numbers = drivers.map((_, index) => Number(row?.[`c${index}`]));
  const least = Math.min(...numbers);
  if (least === 0 && few > 0) return 'none';
  return least < few ? drivers[numbers.indexOf(least)] : undefined;
}

function driversOf(filter: RecordFilter, ofFingerprint: OfFingerprint): readonly Driver[] {
  const { request, fingerprint, review } = filter;
  const all = conditions(filter);
  const each = all.filter(([column]) => column !== 'time').map((condition) => [condition]);
  const times = all.filter(([column]) => column === 'time');
  const drivers = [...each, ...(times.length === 0 ? [] : [times])].map(
    (some) =>
      sql`select sequence from records where ${and(some.map(([column, operator, value]) => sql`${sql.ref(column)} ${sql.raw(operator)} ${value}`))}`,
  );
  if (request !== undefined)
    drivers.push(sql`select sequence from records where request_id = ${searchable(request)}`);
  if (fingerprint !== undefined) drivers.push(ofFingerprint(fingerprint));
  const source = ofSource(filter);
  if (source.length > 0) drivers.push(sql`select sequence from record_sources where ${and(source)}`);
  if (review !== undefined) drivers.push(sql`select sequence from facets where state = ${review}`);
  return drivers;
}

/** By one index of each column. Within a range, since a blank, a port or a flag is a value of very many records. */
export function ofFingerprintAnywhere(fingerprint: string, range?: Range): Driver {
  const within = range === undefined ? sql`1 = 1` : inRange(range);
  return sql`select sequence from records where fingerprint_before = ${fingerprint} and ${within}
    union all select sequence from records where fingerprint_after = ${fingerprint} and ${within}
    union all select sequence from record_values where fingerprint = ${fingerprint} and ${within}`;
}

export function inRange({ after, before }: Range): RawBuilder<unknown> {
  return sql`sequence > ${after} and sequence < ${before}`;
}

/** One source must match all: `--store a --key b` is not "something of a, and b from anywhere". */
export function ofSource({ store, key, version }: RecordFilter): readonly RawBuilder<unknown>[] {
  return Object.entries({ store, key, version }).flatMap(([column, value]) =>
    value === undefined ? [] : [sql`${sql.ref(`record_sources.${column}`)} = ${searchable(value)}`],
  );
}

function fewQuery(
  db: AuditQueries,
  driver: Driver,
  question: Question,
  { after, before }: Range,
  limit: number,
): CompiledQuery<Stored> {
  // `cross join` is what SQLite does in the order written, with whatever it believes of the data.
  return sql<Stored>`
    select records.record, records.hash
    from (select distinct sequence from (${driver}) fitting) few cross join facets cross join records
    where few.sequence > ${after} and few.sequence < ${before}
      and facets.sequence = few.sequence and records.sequence = few.sequence and ${matches(question)}
    order by few.sequence ${order(question)} limit ${limit}`.compile(db);
}

function windowQuery(
  { db, ofFingerprint }: Searched,
  question: Question,
  range: Range,
  limit: number,
): CompiledQuery<Stored> {
  const { key, fingerprint } = question.filter;
  // By its index, which is in the order of the records; nothing in the facets would narrow it.
  if (fingerprint !== undefined)
    return fewQuery(db, ofFingerprint(fingerprint, range), question, range, limit);
  if (key !== undefined) {
    const some = sql`select sequence from record_sources where ${inRange(range)} and ${and(ofSource(question.filter))}`;
    return fewQuery(db, some, question, range, limit);
  }
  return sql<Stored>`
    select records.record, records.hash from facets cross join records
    where facets.sequence > ${range.after} and facets.sequence < ${range.before}
      and records.sequence = facets.sequence and ${matches(question)}
    order by facets.sequence ${order(question)} limit ${limit}`.compile(db);
}

function order({ upwards }: Question): RawBuilder<unknown> {
  return upwards ? sql`asc` : sql`desc`;
}

/** All of the question, of a row of the facets and one of the records. */
export function matches({ filter, actions }: Question): RawBuilder<unknown> {
  const { request, fingerprint, review, store } = filter;
  const parts = conditions(filter).map(
    ([column, operator, value]) => sql`${sql.ref(`facets.${column}`)} ${sql.raw(operator)} ${value}`,
  );
  if (actions !== undefined)
    parts.push(actions.length === 0 ? sql`1 = 0` : sql`facets.action in (${sql.join(actions)})`);
  // What most records are is not asked by its index, which would be walked in place of the facets.
  if (review === 'unreviewed') parts.push(sql`coalesce(facets.state, '') = ${review}`);
  else if (review !== undefined) parts.push(sql`facets.state = ${review}`);
  const source = ofSource(filter);
  if (source.length > 0) {
    const isThere = sql`exists (select 1 from record_sources
      where record_sources.sequence = facets.sequence and ${and(source)})`;
    const isIt = source.length === 1 ? sql`1 = 1` : isThere;
    const several = sql.lit(SEVERAL);
    if (store === undefined) parts.push(isThere);
    else
      parts.push(
        sql`(facets.store = ${searchable(store)} and ${isIt} or facets.store = ${several} and ${isThere})`,
      );
  }
  // Last: they need the record itself.
  parts.push(...inText(filter, 'records'));
  if (request !== undefined) parts.push(sql`records.request_id = ${searchable(request)}`);
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
