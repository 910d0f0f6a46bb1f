import { createHash } from 'node:crypto';
import { compareText } from './target.ts';

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

/** Applies a difference to a sorted list. Returns a new list, unless nothing has changed. */
export function resort<T>(
  sorted: readonly T[],
  { removed, added }: Difference<T>,
  compare: (a: T, b: T) => number,
): readonly T[] {
  if (removed.length + added.length === 0) return sorted;
  const dropped = new Set(removed);
  const items = sorted.filter((item) => !dropped.has(item));
  if (added.length * FEW > items.length) return [...items, ...added].sort(compare);
  for (const item of added) items.splice(placeOf(items, item, compare), 0, item);
  return items;
}

/** If more than this part of a list is new, sorting is faster than inserting. */
const FEW = 64;

/** Returns the index of the first item that is greater. */
function placeOf<T>(sorted: readonly T[], item: T, compare: (a: T, b: T) => number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = sorted[middle];
    if (at !== undefined && compare(at, item) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Returns a function that hashes lists of immutable items with SHA-256. The order of a list does not matter. The
 * function remembers the last list, so a hash costs what has changed since then.
 *
 * @param textOf What counts of an item. Different items of a list must have different texts.
 */
export function createListHash<T>(textOf: (item: T) => string): (items: readonly T[]) => string {
  let last: readonly T[] = [];
  let sorted: readonly string[] = [];
  const hashOf = (item: T) => createHash('sha256').update(textOf(item)).digest('base64');
  return (items) => {
    const { removed, added } = difference(last, items);
    const change = { removed: removed.map(hashOf), added: added.map(hashOf) };
    // An object may have been replaced by an equal one.
    const kept = new Set(change.added).intersection(new Set(change.removed));
    const isOther = (hash: string) => !kept.has(hash);
    const others = { removed: change.removed.filter(isOther), added: change.added.filter(isOther) };
    sorted = resort(sorted, others, compareText);
    last = items;
    return createHash('sha256').update(sorted.join('\n')).digest('hex');
  };
}

/** Divides a list into lists of at most `size` items. */
export function chunks<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  );
}
