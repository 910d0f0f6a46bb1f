import { compareText } from '../core/target.ts';

/** As a JSON Schema, for one parameter. */
type Parameter = Readonly<Record<string, unknown>>;

export interface ListQuery {
  readonly limit: number;
  readonly cursor?: string;
}

const MAX_LIMIT = 1_000;

/** The parameters of a list: its filters, and where in the answer to be. */
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
        description: 'How many on a page.',
      },
      cursor: { type: 'string', pattern: cursor, description: 'Go on after a page: its `next`.' },
    },
  } as const;
}

export const LIST_QUERY = listQuery({}, { limit: MAX_LIMIT, cursor: '^[-a-z0-9.!]{1,600}$' });

/** Sorts below every character of a name, so that joined names sort as the names do one by one. */
const SEPARATOR = '!';

/** One page of a list that is in memory. It goes on behind the key of the last item, whatever came or went since. */
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
