import { describe, expect, it } from 'vitest';
import { countsBetween, totalOf } from '../../bench/fake-stores/start.ts';
import { areComparable, worseRows } from '../../bench/harness/compare.ts';
import type { Result } from '../../bench/harness/result.ts';
import { type Row, row } from '../../bench/harness/row.ts';
import { median, percentile } from '../../bench/harness/statistics.ts';
import { tableOf } from '../../bench/harness/table.ts';

function result(rows: readonly Row[], more: Partial<Result> = {}): Result {
  return {
    format: 1,
    at: '2026-01-01T00:00:00.000Z',
    quick: false,
    versions: {},
    machine: { system: '', cpu: '', cores: 1, memoryGb: 1 },
    groups: [{ name: 'g', title: 'A group', rows }],
    ...more,
  };
}

const calls = (value: number, floor?: number): Row =>
  row({ id: 'a', title: 'a', unit: 'calls', value, ...(floor === undefined ? {} : { floor }) });

describe('a row', () => {
  it('a row contains the ratio of its value to its floor, unless the floor is zero', () => {
    expect(calls(60, 50).ratio).toBe(1.2);
    expect(calls(0, 0).ratio).toBeUndefined();
    expect(calls(5).ratio).toBeUndefined();
  });

  it('a row passes only when it meets every limit of its goal', () => {
    const time = (value: number) =>
      row({ id: 't', title: 't', unit: 's', value, floor: 2, goal: { value: 6, ratio: 1.5 } }).ok;
    expect([time(3), time(3.5), time(7)]).toEqual([true, false, false]);
  });

  it('a row fails when its goal is a ratio and its floor is zero', () => {
    expect(row({ id: 'r', title: 'r', unit: 's', value: 1, floor: 0, goal: { ratio: 2 } }).ok).toBe(false);
  });

  it('rejects a row with a negative or missing value', () => {
    for (const value of [-1, Number.NaN]) expect(() => calls(value, 1)).toThrow('was measured as');
  });

  it('a row without a goal neither passes nor fails', () => {
    expect(calls(60, 50)).not.toHaveProperty('ok');
  });
});

describe('the statistics', () => {
  it('computes the median', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 2, 9])).toBe(3);
    expect(median([])).toBeNaN();
  });

  it('computes a percentile by nearest rank', () => {
    const hundred = Array.from({ length: 100 }, (_, n) => 100 - n);
    expect([0, 0.5, 0.95, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([1, 50, 95, 99, 100]);
    expect(percentile([7], 0.5)).toBe(7);
    expect(percentile([], 0.5)).toBeNaN();
  });
});

describe('a comparison', () => {
  const worse = (before: Row, after: Row) => worseRows(result([before]), result([after]));

  it('reports a ratio that grew by more than a quarter', () => {
    expect(worse(calls(100, 100), calls(125, 100))).toEqual([]);
    expect(worse(calls(100, 100), calls(126, 100))).toEqual([{ id: 'a', before: 1, after: 1.26 }]);
    expect(worse(calls(126, 100), calls(100, 100))).toEqual([]);
  });

  it('compares ratios instead of values, because values depend on the speed of the machine', () => {
    expect(worse(calls(100, 100), calls(900, 900))).toEqual([]);
  });

  it('reports any growth of a value whose floor is zero', () => {
    expect(worse(calls(0, 0), calls(1, 0))).toEqual([{ id: 'a', before: 0, after: 1 }]);
  });

  it('ignores rows without a floor, and rows that only one of the two runs contains', () => {
    expect(worse(calls(1), calls(9))).toEqual([]);
    expect(worseRows(result([]), result([calls(9, 1)]))).toEqual([]);
  });

  it('two results can be compared only if both runs had the same size', () => {
    expect(areComparable(result([]), result([]))).toBe(true);
    expect(areComparable(result([]), result([], { quick: true }))).toBe(false);
  });
});

describe('the table', () => {
  it('the table shows the value beside the floor, and marks missed goals', () => {
    const table = tableOf(
      result([
        row({ id: 'a', title: 'a cycle', unit: 'calls', value: 1_502, floor: 1_500, goal: { value: 1_502 } }),
        row({ id: 'b', title: 'a time', unit: 's', value: 3.25, floor: 1, goal: { value: 6, ratio: 1.5 } }),
      ]),
    );
    expect(table).toContain('A group');
    expect(table).toMatch(/\| a cycle +\| 1,500 +\| 1,502 calls +\| 1.00 × +\| ≤ 1,502 +\| reached +\|/);
    expect(table).toMatch(/\| a time +\| 1 +\| 3.25 s +\| 3.25 × +\| ≤ 6, ≤ 1.50 × +\| MISSED +\|/);
  });

  it('all lines of the table have the same length', () => {
    const lines = tableOf(result([calls(1, 1), calls(12_345, 2)]))
      .split('\n')
      .filter((line) => line.startsWith('|'));
    expect(new Set(lines.map(({ length }) => length)).size).toBe(1);
  });
});

describe('the counts of a fake store', () => {
  it('the difference of two counts contains only the requests that arrived between the two counts', () => {
    const before = { calls: { list: 2, read: 5 }, connections: 1 };
    const added = countsBetween(before, { calls: { list: 4, read: 5, login: 1 }, connections: 3 });
    expect(added).toEqual({ calls: { list: 2, login: 1 }, connections: 2 });
    expect(totalOf(added)).toBe(3);
  });
});
