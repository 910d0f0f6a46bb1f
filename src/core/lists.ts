// These functions replace the spread of a list into the arguments of a call. Node passes arguments on the stack, so a
// list of about a hundred thousand items overflows the stack, and the call throws a RangeError.

/** Adds all items to the end of the list. */
export function append<T>(list: T[], items: Iterable<T>): void {
  for (const item of items) list.push(item);
}

/** Returns the smallest number, or infinity if there is none. */
export function smallest(numbers: Iterable<number>): number {
  let found = Number.POSITIVE_INFINITY;
  for (const number of numbers) found = Math.min(found, number);
  return found;
}

/** Returns the largest number, or negative infinity if there is none. */
export function largest(numbers: Iterable<number>): number {
  let found = Number.NEGATIVE_INFINITY;
  for (const number of numbers) found = Math.max(found, number);
  return found;
}
