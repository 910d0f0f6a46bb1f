import { compareText } from '../core/target.ts';

/** The JSON Schema of one parameter. */
type Parameter = Readonly<Record<string, unknown>>;

export interface ListQuery {
  readonly limit: number;
  readonly cursor?: string;
}

const MAX_LIMIT = 1_000;

/** Returns the schema of a list's query parameters: the filters of the list and the parameters for paging. */
export function listQuery(
  filters: Readonly<Record<string, Parameter>>,
  { limit, cursor }: { readonly limit: number; readonly cursor: string },
) {
  return {
    type: 'object',
    additionalProperties: false,
    properties: {
      ...filters,
      limit: {
        type: 'integer',
        minimum: 1,
        maximum: MAX_LIMIT,
        default: limit,
        description: 'The number of items on a page.',
      },
      cursor: { type: 'string', pattern: cursor, description: 'The `next` of the previous page.' },
    },
  } as const;
}

export const LIST_QUERY = listQuery({}, { limit: MAX_LIMIT, cursor: '^[-a-z0-9.!]{1,600}$' });

/**
 * A separator that sorts before every character of a name, so that joined names have the same order as the separate
 * names.
 */
const SEPARATOR = '!';

/**
 * Returns one page of an in-memory list. The cursor is the key of the last item, so paging still works after items are
 * added or removed.
 */
export function pageOf<T>(
  items: readonly T[],
  namesOf: (item: T) => readonly string[],
  { limit, cursor }: ListQuery,
): { readonly items: readonly T[]; readonly next: string | undefined } {
  const keyed = items
    .map((item) => ({ item, key: namesOf(item).join(SEPARATOR) }))
    .filter(({ key }) => cursor === undefined || compareText(key, cursor) > 0)
    .sort((a, b) => compareText(a.key, b.key));
  const page = keyed.slice(0, limit);
  return {
    items: page.map(({ item }) => item),
    next: keyed.length > page.length ? page.at(-1)?.key : undefined,
  };
}
