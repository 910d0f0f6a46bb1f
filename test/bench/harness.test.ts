import { describe, expect, it } from 'vitest';
import { countsBetween, totalOf } from '../../bench/doubles/start.ts';
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
  it('has the ratio of its value to its floor, and none where the floor is nothing', () => {
    expect(calls(60, 50).ratio).toBe(1.2);
    expect(calls(0, 0).ratio).toBeUndefined();
    expect(calls(5).ratio).toBeUndefined();
  });

  it('reaches its goal only with all parts of it', () => {
    const time = (value: number) =>
      row({ id: 't', title: 't', unit: 's', value, floor: 2, goal: { value: 6, ratio: 1.5 } }).ok;
    expect([time(3), time(3.5), time(7)]).toEqual([true, false, false]);
  });

  it('has not reached a ratio that could not be measured', () => {
    expect(row({ id: 'r', title: 'r', unit: 's', value: 1, floor: 0, goal: { ratio: 2 } }).ok).toBe(false);
  });

  it('is not made of a figure that cannot be', () => {
    for (const value of [-1, Number.NaN]) expect(() => calls(value, 1)).toThrow('was measured as');
  });

  it('says nothing of a goal that it does not have', () => {
    expect(calls(60, 50)).not.toHaveProperty('ok');
  });
});

describe('the statistics', () => {
  it('take the middle one, or the mean of the two', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 2, 9])).toBe(3);
    expect(median([])).toBeNaN();
  });

  it('take a percentile by the nearest rank', () => {
    const hundred = Array.from({ length: 100 }, (_, n) => 100 - n);
    expect([0, 0.5, 0.95, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([1, 50, 95, 99, 100]);
    expect(percentile([7], 0.5)).toBe(7);
    expect(percentile([], 0.5)).toBeNaN();
  });
});

describe('a comparison', () => {
  const worse = (before: Row, after: Row) => worseRows(result([before]), result([after]));

  it('reports a ratio that grew by more than a quarter, and none that grew by less', () => {
    expect(worse(calls(100, 100), calls(125, 100))).toEqual([]);
    expect(worse(calls(100, 100), calls(126, 100))).toEqual([{ id: 'a', before: 1, after: 1.26 }]);
    expect(worse(calls(126, 100), calls(100, 100))).toEqual([]);
  });

  it('looks at ratios, not at what a slower machine makes of both', () => {
    expect(worse(calls(100, 100), calls(900, 900))).toEqual([]);
  });

  it('reports anything at all where there was nothing and the floor is nothing', () => {
    expect(worse(calls(0, 0), calls(1, 0))).toEqual([{ id: 'a', before: 0, after: 1 }]);
  });

  it('says nothing of rows without a floor and of rows that only one of them has', () => {
    expect(worse(calls(1), calls(9))).toEqual([]);
    expect(worseRows(result([]), result([calls(9, 1)]))).toEqual([]);
  });

  it('is not made between runs of different sizes', () => {
    expect(areComparable(result([]), result([]))).toBe(true);
    expect(areComparable(result([]), result([], { quick: true }))).toBe(false);
  });
});

describe('the table', () => {
  it('shows ours beside the floor, and says what was missed', () => {
    const table = tableOf(
      result([
        row({ id: 'a', title: 'a pass', unit: 'calls', value: 1_502, floor: 1_500, goal: { value: 1_502 } }),
        row({ id: 'b', title: 'a time', unit: 's', value: 3.25, floor: 1, goal: { value: 6, ratio: 1.5 } }),
      ]),
    );
    expect(table).toContain('A group');
    expect(table).toMatch(/\| a pass +\| 1,500 +\| 1,502 calls +\| 1.00 × +\| ≤ 1,502 +\| reached +\|/);
    expect(table).toMatch(/\| a time +\| 1 +\| 3.25 s +\| 3.25 × +\| ≤ 6, ≤ 1.50 × +\| MISSED +\|/);
  });

  it('has lines of one length', () => {
    const lines = tableOf(result([calls(1, 1), calls(12_345, 2)]))
      .split('\n')
      .filter((line) => line.startsWith('|'));
    expect(new Set(lines.map(({ length }) => length)).size).toBe(1);
  });
});

describe('the counts of a double', () => {
  it('are what was added', () => {
    const before = { calls: { list: 2, read: 5 }, connections: 1 };
    const added = countsBetween(before, { calls: { list: 4, read: 5, login: 1 }, connections: 3 });
    expect(added).toEqual({ calls: { list: 2, login: 1 }, connections: 2 });
    expect(totalOf(added)).toBe(3);
  });
});
