import { badAnswer } from '../answer.ts';

/**
 * Checks a list in a response, because the SDK passes on anything that the server sends, despite its types.
 * @param what For the message, such as `a list of secrets`.
 * @returns The list, or an empty list if the response has none.
 * @throws AppError BAD_ANSWER unless it is a list of objects.
 */
export function asObjectList<Item extends object>(
  list: readonly Item[] | undefined,
  what: string,
): readonly Item[] {
  const items = list ?? [];
  if (!Array.isArray(items) || items.some((item) => typeof item !== 'object' || item === null))
    throw badAnswer(`${what} with an unexpected form`);
  return items;
}
