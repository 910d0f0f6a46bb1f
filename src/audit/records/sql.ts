import { append } from '../../core/lists.ts';
/** A value in a query. Our tables have no columns of other types. */
export type SqlValue = string | number | null;

/** A query or a part of a query, for both databases. Each `?` in the text stands for the next value. */
export interface Sql<Row = unknown> {
  readonly text: string;
  readonly values: readonly SqlValue[];
  /** Never set. It only carries the type of the rows. */
  readonly row?: Row;
}

/** Builds SQL. Values become parameters, so they are never part of the text. */
export function sql<Row = unknown>(
  strings: TemplateStringsArray,
  ...parts: readonly (SqlValue | Sql)[]
): Sql<Row> {
  let text = strings[0] ?? '';
  const values: SqlValue[] = [];
  // Count the parts, because `entries()` would create two objects for each part, and queries are built all the time.
  let index = 0;
  for (const part of parts) {
    if (typeof part === 'object' && part !== null) {
      text += part.text;
      append(values, part.values);
    } else {
      text += '?';
      values.push(part);
    }
    index += 1;
    text += strings[index] ?? '';
  }
  return { text, values };
}

/** Returns a part of a query that contains no value, such as the name of a column. */
export function raw(text: string): Sql {
  return { text, values: [] };
}

export const NOTHING = raw('');

export function joined(parts: readonly Sql[], separator: string): Sql {
  return {
    text: parts.map(({ text }) => text).join(separator),
    values: parts.flatMap(({ values }) => values),
  };
}

/** Combines conditions with `and`. Without conditions, the result is always true. */
export function and(conditions: readonly Sql[]): Sql {
  return conditions.length === 0 ? raw('1 = 1') : joined(conditions, ' and ');
}

/** Returns the condition that the column has one of these values. Without values, the condition is always false. */
export function isOneOf(column: string, values: readonly SqlValue[]): Sql {
  if (values.length === 0) return raw('1 = 0');
  return { text: `${column} in (${values.map(() => '?').join(', ')})`, values };
}
