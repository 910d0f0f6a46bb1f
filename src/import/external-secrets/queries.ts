import { keyData } from '../key-data.ts';
import type { Notes } from '../node.ts';
import type { Query } from '../query.ts';
import type { Shape } from '../template.ts';

/** A query in a property, with its path for notes. */
export interface FoundQuery {
  readonly query: Query;
  readonly at: string;
}

/** The queries of the sources, by key. */
export type Queries = ReadonlyMap<string, FoundQuery>;

/** Turns sources with queries into templates. The sources then get other names. */
export function withQueries(sources: Shape, queries: Queries, notes: Notes): Shape {
  if (queries.size === 0) return sources;
  if (sources.dataFrom.length > 0) return withoutQueries(sources, queries, notes);
  for (const { at } of queries.values())
    notes.changed(
      at,
      'becomes a template: the result must be a text, a number, `true` or `false`; External Secrets also accepts an object',
    );
  const keys = Object.entries(sources.data).map(([key, source]) => {
    const query = queries.get(key)?.query;
    return [key, query === undefined ? { source } : { source, query }] as const;
  });
  return { dataFrom: [], ...(keyData(new Map(keys), 'spec.data', notes) as Omit<Shape, 'dataFrom'>) };
}

/** Reports the queries that cannot be converted, because the mapping has other templates or unknown keys. */
export function withoutQueries(sources: Shape, queries: Queries, notes: Notes): Shape {
  for (const { at } of queries.values())
    notes.lost(
      at,
      'is a query beside a template or `dataFrom`',
      'Read the whole value, and use a template with `from_json`.',
    );
  return sources;
}
