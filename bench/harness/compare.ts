import type { Result } from './result.ts';
import type { Row } from './row.ts';

/** By more than this a ratio must not grow from one run to another. */
const TOLERANCE = 0.25;

export interface Worse {
  readonly id: string;
  readonly before: number;
  readonly after: number;
}

/**
 * The rows that cost more than before by over a quarter: of their floor, so that another machine or a busier one
 * changes little; where the floor is nothing, of anything at all. Rows without a floor say nothing.
 */
export function worseRows(before: Result, after: Result): readonly Worse[] {
  const known = new Map(rowsOf(before).map((row) => [row.id, measureOf(row)]));
  return rowsOf(after).flatMap((row) => {
    const [then, now] = [known.get(row.id), measureOf(row)];
    if (then === undefined || now === undefined || now <= then * (1 + TOLERANCE)) return [];
    return [{ id: row.id, before: then, after: now }];
  });
}

/** Whether two runs measured the same: a tenth of the size has other ratios. */
export function areComparable(before: Result, after: Result): boolean {
  return before.format === after.format && before.quick === after.quick;
}

function measureOf({ ratio, floor, value }: Row): number | undefined {
  return floor === 0 ? value : ratio;
}

function rowsOf({ groups }: Result): readonly Row[] {
  return groups.flatMap(({ rows }) => rows);
}
