import { badAnswer } from '../answer.ts';

/**
 * Checks a list in a response. The SDK returns whatever the server sends, regardless of its types.
 * @param what The description for the error message, such as `a list of secrets`.
 * @returns The list, or an empty list if the response contains none.
 * @throws AppError BAD_ANSWER if it is not a list of objects.
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
