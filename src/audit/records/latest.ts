import { type CompiledQuery, type RawBuilder, sql } from 'kysely';
import type { Action } from '../entry.ts';
import { because } from '../failures.ts';
import type { RecordFilter } from '../store.ts';
import { type AuditQueries, keptQuery, keptSelection, type Stored } from './queries.ts';
import { type Ask, and, matches, ofSource, type Searched, search, type Template } from './search.ts';
import { searchable } from './tables.ts';

/** Fewer records than this are a few: they are all looked at. */
const FEW = 3_000;

export interface LatestOptions {
  readonly few?: number;
}

/**
 * The newest record that fits, or else the newest copy of one that left. This is asked several times before each
 * value that is read and each target that is written: of a key or a target it is one query, whose text is built once.
 */
export async function latest(
  searched: Searched,
  filter: RecordFilter,
  actions: readonly Action[],
  options: LatestOptions = {},
): Promise<Stored | undefined> {
  const { db, ask, askOfOne = (template, values) => askAlone(ask, template, values) } = searched;
  if (isOfOne(filter)) {
    const { few = FEW } = options;
    const [template, values] = asked(db, filter, actions, few);
    const row: Row | undefined = await askOfOne(template, values);
    // It has one for whatever there is not, too: none would say nothing of that.
    if (row === undefined) throw because('an answer to a question is missing');
    const { record, hash, kept_record, kept_hash, fitting = 0 } = row;
    if (typeof record === 'string' && typeof hash === 'string') return { record, hash };
    // Nothing among the newest of very many says nothing of the others.
    if (Number(fitting) < few)
      return typeof kept_record === 'string' && typeof kept_hash === 'string'
        ? { record: kept_record, hash: kept_hash }
        : undefined;
  }
  const [found] = await search(searched, filter, { limit: 1 }, actions);
  return found ?? (await ask(keptQuery(db, filter, actions)))[0];
}

export interface Row extends Partial<Stored> {
  /** How many records there are about it, up to a few. */
  readonly fitting?: number;
  readonly kept_record?: string | null;
  readonly kept_hash?: string | null;
}

/** Of one key or one target, and of no other time than now. */
function isOfOne({
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

/** Members whose values differ from question to question; in the text of a query they are parameters. */
const VARYING = ['mapping', 'namespace', 'secret', 'store', 'key', 'version'] as const;
type Varying = (typeof VARYING)[number];

/** In the place of such a value while a query is built. Nothing else in a query is text like this. */
const placeholder = (name: Varying): string => `\u0001${name}`;
const PLACES: ReadonlyMap<unknown, Varying> = new Map(VARYING.map((name) => [placeholder(name), name]));

const built = new WeakMap<AuditQueries, Map<string, Template>>();

/** Building a query takes longer than most of them do. */
function asked(
  db: AuditQueries,
  filter: RecordFilter,
  actions: readonly Action[],
  few: number,
): readonly [Template, readonly string[]] {
  const all = built.get(db) ?? new Map<string, Template>();
  built.set(db, all);
  const given = VARYING.filter((name) => filter[name] !== undefined);
  const shape: RecordFilter = { ...filter, ...Object.fromEntries(given.map((it) => [it, placeholder(it)])) };
  const id = JSON.stringify([shape, actions, few]);
  const template = all.get(id) ?? templateOf(newestQuery(db, shape, actions, few), given);
  all.set(id, template);
  return [template, given.map((name) => searchable(filter[name] ?? ''))];
}

function templateOf(query: CompiledQuery<Row>, given: readonly Varying[]): Template {
  const places = query.parameters.map((it) => {
    const name = PLACES.get(it);
    return name === undefined ? undefined : given.indexOf(name);
  });
  return { query, places };
}

async function askAlone(ask: Ask, template: Template, values: readonly string[]): Promise<Row | undefined> {
  const [row] = await ask<Row>({ ...template.query, parameters: parametersOf(template, values) });
  return row;
}

/** Of the query of a template about one thing. */
export function parametersOf({ query, places }: Template, values: readonly string[]): readonly unknown[] {
  return query.parameters.map((it, index) => values[places[index] ?? -1] ?? it);
}

function newestQuery(
  db: AuditQueries,
  filter: RecordFilter,
  actions: readonly Action[],
  few: number,
): CompiledQuery<Row> {
  const some = sql`(select sequence from ${aboutIt(filter)}
    and sequence > (select coalesce(max(sequence), 0) from base)
    order by sequence desc limit ${sql.lit(few)}) few`;
  const matching = matches({ filter, actions, upwards: false });
  const kept = keptSelection(db, filter, actions).clearSelect().select('kept.sequence');
  // Single values, since SQLite would make a table of each part that is joined.
  return sql<Row>`
    select found.fitting, records.record, records.hash, kept.record as kept_record, kept.hash as kept_hash
    from (select (select count(*) from ${some}) as fitting, (
        select few.sequence from ${some} cross join facets cross join records
        where facets.sequence = few.sequence and records.sequence = few.sequence and ${matching}
        order by few.sequence desc limit 1
      ) as newest, ${kept} as gone) found
    left join records on records.sequence = found.newest
    left join kept on kept.sequence = found.gone`.compile(db);
}

/** The records about the key or the target, by an index that has them in their order. */
function aboutIt(filter: RecordFilter): RawBuilder<unknown> {
  const { key, secret = '', namespace = '' } = filter;
  if (key !== undefined) return sql`record_sources where ${and(ofSource(filter))}`;
  return sql`records where secret = ${searchable(secret)} and namespace = ${searchable(namespace)}`;
}
