import { parametersOf } from '../records/latest.ts';
import type { SearchContext, Template } from '../records/search.ts';

/** The maximum number of queries in a batch. It limits how long the next batch waits. */
const MAX_BATCH = 50;

interface PendingQuery {
  readonly values: readonly string[];
  readonly answer: PromiseWithResolvers<object | undefined>;
}

/** Runs one prepared statement and returns its rows. After a lost connection, `statementOf` may be called again. */
export type RunPrepared = (
  statementOf: () => { readonly sql: string; readonly parameters: readonly unknown[] },
) => Promise<readonly object[]>;

/**
 * Sends concurrent queries that share a template to the server as one statement. Planning such a query and waiting for
 * the response takes many times as long as executing it. A query that finds a free connection is sent alone.
 */
export function createQueryBatcher(run: RunPrepared): NonNullable<SearchContext['runTemplate']> {
  const queues = new Map<Template, PendingQuery[]>();
  const sqlByTemplate = new WeakMap<Template, string>();

  async function runBatch(template: Template): Promise<void> {
    let batch: readonly PendingQuery[] | undefined;
    try {
      const rows = await run(() => {
        batch ??= takeBatch(template, MAX_BATCH);
        const [first, ...more] = batch;
        // Use the single-query form, because the server would plan a list of one element again each time.
        if (first !== undefined && more.length === 0)
          return { sql: template.query.sql, parameters: parametersOf(template, first.values) };
        const sql = sqlByTemplate.get(template) ?? batchSql(template);
        sqlByTemplate.set(template, sql);
        return { sql, parameters: batchParameters(template, batch) };
      });
      for (const row of rows as readonly BatchRow[]) batch?.[(row.nth ?? 1) - 1]?.answer.resolve(row);
      // Resolve the queries that have no row in the answer.
      for (const { answer } of batch ?? []) answer.resolve(undefined);
    } catch (error) {
      batch ??= takeBatch(template, Number.POSITIVE_INFINITY);
      for (const { answer } of batch) answer.reject(error);
    }
  }

  function takeBatch(template: Template, limit: number): readonly PendingQuery[] {
    const queue = queues.get(template) ?? [];
    const batch = queue.splice(0, limit);
    if (queue.length === 0) queues.delete(template);
    else void runBatch(template);
    return batch;
  }

  return (template, values) => {
    const answer = Promise.withResolvers<object | undefined>();
    const queue = queues.get(template);
    if (queue !== undefined) queue.push({ values, answer });
    else {
      queues.set(template, [{ values, answer }]);
      void runBatch(template);
    }
    return answer.promise;
  };
}

interface BatchRow {
  /** The position of the query in the batch, starting at 1. Absent if only one query was sent. */
  readonly nth?: number;
}

/** Joins the template with one row per query. Each varying value is taken from an array parameter. */
function batchSql({ query, valueIndexes }: Template): string {
  const columns = columnsOf(valueIndexes);
  const fixedIndexes = valueIndexes.flatMap((valueIndex, index) => (valueIndex === undefined ? [index] : []));
  const each = query.sql.replaceAll(/\$(\d+)/g, (_, digits: string) => {
    const index = Number(digits) - 1;
    const valueIndex = valueIndexes[index];
    return valueIndex === undefined
      ? `$${columns.length + fixedIndexes.indexOf(index) + 1}`
      : `queries.value_${valueIndex}`;
  });
  const lists = columns.map((valueIndex) => `$${valueIndex + 1}::text[]`).join(', ');
  const names = columns.map((valueIndex) => `value_${valueIndex}, `).join('');
  return `select queries.nth, answer.* from unnest(${lists}) with ordinality queries(${names}nth) cross join lateral (${each}) answer`;
}

function batchParameters(
  { query, valueIndexes }: Template,
  batch: readonly PendingQuery[],
): readonly unknown[] {
  const lists = columnsOf(valueIndexes).map((valueIndex) => batch.map(({ values }) => values[valueIndex]));
  return [...lists, ...query.parameters.filter((_, index) => valueIndexes[index] === undefined)];
}

function columnsOf(valueIndexes: Template['valueIndexes']): readonly number[] {
  const count = Math.max(...valueIndexes.map((valueIndex) => valueIndex ?? -1)) + 1;
  return Array.from({ length: count }, (_, valueIndex) => valueIndex);
}
