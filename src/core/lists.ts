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

export interface Difference<T> {
  /** The items that only the first list contains. */
  readonly removed: readonly T[];
  /** The items that only the second list contains. */
  readonly added: readonly T[];
}

/** Compares two lists of objects by identity. Fast if the lists have long common parts at the start and at the end. */
export function difference<T>(before: readonly T[], after: readonly T[]): Difference<T> {
  if (before === after) return { removed: [], added: [] };
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let [last, next] = [before.length, after.length];
  for (; last > start && next > start && before[last - 1] === after[next - 1]; last -= 1) next -= 1;
  const [old, now] = [before.slice(start, last), after.slice(start, next)];
  const [known, current] = [new Set(old), new Set(now)];
  return { removed: old.filter((item) => !current.has(item)), added: now.filter((item) => !known.has(item)) };
}
