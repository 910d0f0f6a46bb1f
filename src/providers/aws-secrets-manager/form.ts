import { badAnswer } from '../answer.ts';

/**
 * The SDK hands on whatever stands where a list belongs: its types say what should be there.
 * @param what For the message, such as `a list of secrets`.
 * @returns The list; an empty one where the answer has none.
 * @throws AppError BAD_ANSWER unless it is a list of objects.
 */
export function objectsIn<Item extends object>(
  list: readonly Item[] | undefined,
  what: string,
): readonly Item[] {
  const items = list ?? [];
  if (!Array.isArray(items) || items.some((item) => typeof item !== 'object' || item === null))
    throw badAnswer(`${what} in another form`);
  return items;
}
