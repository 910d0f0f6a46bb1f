import { parametersOf } from '../records/latest.ts';
import type { Searched, Template } from '../records/search.ts';

/** So many things are asked about at a time: whoever comes next waits for no more than that. */
const MOST = 50;

interface Waiting {
  readonly values: readonly string[];
  readonly answer: PromiseWithResolvers<object | undefined>;
}

/** Asks one statement, which the server keeps as it was planned. Gives its rows, or runs it once more after a lost connection. */
export type AskKept = (
  statementOf: () => { readonly sql: string; readonly parameters: readonly unknown[] },
) => Promise<readonly object[]>;

/**
 * What several ask at a time goes over the network as one: to plan such a question, and to wait for its answer, takes
 * many times as long as to answer it. Whoever finds a connection free goes alone.
 */
export function createTogether(ask: AskKept): NonNullable<Searched['askOfOne']> {
  const lines = new Map<Template, Waiting[]>();
  const texts = new WeakMap<Template, string>();

  async function next(template: Template): Promise<void> {
    let taken: readonly Waiting[] | undefined;
    try {
      const rows = await ask(() => {
        taken ??= take(template, MOST);
        const [first, ...more] = taken;
        // The server would plan a list of one anew each time.
        if (first !== undefined && more.length === 0)
          return { sql: template.query.sql, parameters: parametersOf(template, first.values) };
        const sql = texts.get(template) ?? textOf(template);
        texts.set(template, sql);
        return { sql, parameters: listsOf(template, taken) };
      });
      for (const row of rows as readonly Answer[]) taken?.[(row.nth ?? 1) - 1]?.answer.resolve(row);
      // Whoever has no row is not kept waiting.
      for (const { answer } of taken ?? []) answer.resolve(undefined);
    } catch (error) {
      taken ??= take(template, Number.POSITIVE_INFINITY);
      for (const { answer } of taken) answer.reject(error);
    }
  }

  function take(template: Template, most: number): readonly Waiting[] {
    const line = lines.get(template) ?? [];
    const taken = line.splice(0, most);
    if (line.length === 0) lines.delete(template);
    else void next(template);
    return taken;
  }

  return (template, values) => {
    const answer = Promise.withResolvers<object | undefined>();
    const line = lines.get(template);
    if (line !== undefined) line.push({ values, answer });
    else {
      lines.set(template, [{ values, answer }]);
      void next(template);
    }
    return answer.promise;
  };
}

interface Answer {
  /** From 1 on; left out by a statement about one alone. */
  readonly nth?: number;
}

/** The template for each row of the values, of which each is a parameter of its own. */
function textOf({ query, places }: Template): string {
  const columns = columnsOf(places);
  const own = places.flatMap((place, index) => (place === undefined ? [index] : []));
  const each = query.sql.replaceAll(/\$(\d+)/g, (_, digits: string) => {
    const index = Number(digits) - 1;
    const place = places[index];
    return place === undefined ? `$${columns.length + own.indexOf(index) + 1}` : `asked.value_${place}`;
  });
  const lists = columns.map((place) => `$${place + 1}::text[]`).join(', ');
  const names = columns.map((place) => `value_${place}, `).join('');
  return `select asked.nth, answer.* from unnest(${lists}) with ordinality asked(${names}nth) cross join lateral (${each}) answer`;
}

function listsOf({ query, places }: Template, taken: readonly Waiting[]): readonly unknown[] {
  const lists = columnsOf(places).map((place) => taken.map(({ values }) => values[place]));
  return [...lists, ...query.parameters.filter((_, index) => places[index] === undefined)];
}

function columnsOf(places: Template['places']): readonly number[] {
  const count = Math.max(...places.map((place) => place ?? -1)) + 1;
  return Array.from({ length: count }, (_, place) => place);
}
