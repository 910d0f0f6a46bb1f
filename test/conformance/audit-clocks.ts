import { expect, it } from 'vitest';
import type { AuditStore } from '../../src/audit/store.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import type { Clock } from '../../src/core/clock.ts';
import { entry } from '../audit/sample.ts';

export interface ClockHarness extends AsyncDisposable {
  readonly store: AuditStore;
}

/**
 * Registers a test for clocks that go back or differ between replicas. Sequence numbers define the order of records.
 * Each record keeps the time that the clock of its replica showed.
 */
export function describeClocks(name: string, open: (clock: Clock) => Promise<ClockHarness>): void {
  it(`${name}: keeps the order of records and finds every record by its time when the clock goes back`, async () => {
    let now = 0;
    await using harness = await open({ now: () => now });
    await using store = harness.store;
    const hour = (n: number): number => Date.parse('2026-11-25T00:00:00Z') + n * 3_600_000;
    const text = (n: number): string => new Date(hour(n)).toISOString();
    // Each group of records fills one block, so the blocks contain records of different times. In the third group, the
    // clock is a day behind.
    for (const [from, step] of [
      [30, 1],
      [31, 1],
      [6, 0],
      [32, 1],
    ] as const) {
      now = hour(from);
      for (let n = 0; n < 5; n += 1) await store.append(Array.from({ length: 1_000 }, () => entry()));
      now = hour(from + step);
      await store.append([entry({ mapping: `hour-${from}` })]);
    }
    const find = async (since: number, until: number, mapping?: string) => {
      const range = { since: text(since), until: text(until) };
      const records = await store.list(
        { ...range, ...(mapping === undefined ? {} : { mapping }) },
        { limit: 9_000 },
      );
      return records.map(({ sequence }) => sequence);
    };
    expect(await find(0, 7)).toHaveLength(5_001);
    expect((await find(0, 7))[0]).toBe(15_003);
    expect(await find(0, 7, 'hour-6')).toEqual([15_003]);
    expect(await find(31, 31, 'hour-30')).toEqual([5_001]);
    expect(await find(33, 40)).toEqual([20_004]);
    expect(await find(34, 40)).toEqual([]);
    expect(await find(40, 30)).toEqual([]);
    expect((await store.list({}, { limit: 3 })).map(({ sequence }) => sequence)).toEqual([
      20_004, 20_003, 20_002,
    ]);
    expect(await verify(store.storedRecords(1))).toMatchObject({ kind: 'intact', records: 20_004 });
  });
}
