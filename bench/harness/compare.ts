import type { Result } from './result.ts';
import type { Row } from './row.ts';

/** The largest accepted growth of a ratio between two runs. */
const TOLERANCE = 0.25;

export interface Worse {
  readonly id: string;
  readonly before: number;
  readonly after: number;
}

/**
 * Returns the rows whose ratio to the floor grew by more than a quarter. Compares ratios, because a ratio hardly
 * depends on the speed of the machine. If the floor of a row is 0, compares the values instead. Ignores rows without a
 * floor.
 */
export function worseRows(before: Result, after: Result): readonly Worse[] {
  const previous = new Map(rowsOf(before).map((row) => [row.id, measureOf(row)]));
  return rowsOf(after).flatMap((row) => {
    const [then, now] = [previous.get(row.id), measureOf(row)];
    if (then === undefined || now === undefined || now <= then * (1 + TOLERANCE)) return [];
    return [{ id: row.id, before: then, after: now }];
  });
}

/**
 * Whether both results are from quick runs, or both are from full runs. The ratios of a quick run differ from the
 * ratios of a full run.
 */
export function areComparable(before: Result, after: Result): boolean {
  return before.format === after.format && before.quick === after.quick;
}

function measureOf({ ratio, floor, value }: Row): number | undefined {
  return floor === 0 ? value : ratio;
}

function rowsOf({ groups }: Result): readonly Row[] {
  return groups.flatMap(({ rows }) => rows);
}
