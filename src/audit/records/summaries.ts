import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { append } from '../../core/lists.ts';
import { WRITE_ACTIONS } from '../record-index.ts';
import type {
  AuditSummaries,
  CountsOfStep,
  CountsQuery,
  FoundNote,
  SourceTarget,
  SourceVersion,
} from '../summaries.ts';
import type { AuditDatabase } from './database.ts';
import { BASE, isInNamespaces, sourceConditions } from './queries.ts';
import { and, isOneOf, NOTHING, raw, type Sql, sql } from './sql.ts';
import type { PersonRow } from './summary-rows.ts';

/** The number of hours that one query covers, so that a query blocks the event loop for a few milliseconds only. */
const WINDOW_HOURS = 1_200;

/** Queries of tables that contain no records. */
export function createSummaries({ query, dialect }: AuditDatabase): AuditSummaries {
  return {
    async counts({ from, to, step }, namespaces) {
      const all: CountsOfStep[] = [];
      const window = Math.max(1, Math.floor(WINDOW_HOURS / step)) * step;
      for (let start = from; start < to; start += window) {
        if (start > from) await yieldToEventLoop();
        const range = { from: start, to: Math.min(to, start + window), step };
        append(all, await query(countsQuery(range, namespaces)));
      }
      return all;
    },
    sourceVersions: () => query(sql<SourceVersion>`select store, key, version, since from source_versions`),
    targetsOfSource: (source, limit, namespaces) =>
      query(sql<SourceTarget>`select r.namespace, r.secret, max(d.sequence) as sequence
        from record_sources d${dialect.using('record_sources_by_key')}
          cross join records r${dialect.using('records_by_columns')}
        where ${and(sourceConditions('d', source))} and ${isOneOf('d.action', WRITE_ACTIONS)}
          and d.sequence > ${BASE} and r.sequence = d.sequence
          and r.secret is not null and r.namespace is not null ${inNamespaces('r', namespaces)}
        group by r.namespace, r.secret order by max(d.sequence) desc limit ${limit}`),
    async findNames(text, limit, namespaces) {
      const targets = await query(sql<{
        namespace: string;
        secret: string;
      }>`select namespace, secret from targets
        where ${contains('secret', text)} ${inNamespaces('targets', namespaces)}
        order by secret, namespace limit ${limit}`);
      const people = await query(sql<Pick<PersonRow, 'name'>>`select distinct name from people
        where ${contains('name', text)} ${inNamespaces('people', namespaces)} order by name limit ${limit}`);
      // The keys of a store may belong to any namespace.
      const sources =
        namespaces === undefined
          ? await query(sql<{ store: string; key: string }>`select store, key from source_versions
              where ${contains('key', text)} order by key, store limit ${limit}`)
          : [];
      return { targets, people: people.map(({ name }) => name), sources };
    },
    findNotes: (text, limit) =>
      query(sql<FoundNote>`select sequence, about, note from record_notes
        where ${contains('note', text)} and sequence > ${BASE}
        order by sequence desc limit ${limit}`),
  };
}

function countsQuery(
  { from, to, step }: CountsQuery,
  namespaces: readonly string[] | undefined,
): Sql<CountsOfStep> {
  const first = raw(String(Math.trunc(from)));
  const start = sql`${first} + (hour - ${first}) / ${raw(String(Math.trunc(step)))} * ${raw(String(Math.trunc(step)))}`;
  const sums = ['changes', 'failures', 'refusals', 'held'].map(
    (column) => `cast(sum(${column}) as bigint) as ${column}`,
  );
  return sql<CountsOfStep>`select ${start} as hour, ${raw(sums.join(', '))} from record_counts
    where hour >= ${from} and hour < ${to} ${inNamespaces('record_counts', namespaces)} group by 1 order by 1`;
}

function inNamespaces(table: string, namespaces: readonly string[] | undefined): Sql {
  return namespaces === undefined ? NOTHING : sql`and ${isInNamespaces(table, namespaces)}`;
}

/** The databases know lower case only for ASCII letters, so the pattern leaves other letters unchanged too. */
function contains(column: string, text: string): Sql {
  const lower = text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  const pattern = `%${lower.replace(/[!%_]/g, '!$&')}%`;
  return sql`lower(${raw(column)}) like ${pattern} escape '!'`;
}
