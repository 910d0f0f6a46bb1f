import { expect, it } from 'vitest';
import type { Entry, ReviewState } from '../../src/audit/entry.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { bare, entry } from './sample.ts';

export interface CutHarness extends AsyncDisposable {
  open(replica: string): Promise<AuditStore>;
  /** Behind the store's back. */
  sql(text: string): Promise<void>;
}

const review = (sequence: number, state: ReviewState, note?: string): Entry =>
  bare({
    action: 'review',
    actor: { kind: 'operator', name: 'ann' },
    review: { sequence, state },
    ...(note === undefined ? {} : { note }),
  });

/** Records and the note of the last one are cut off, and what is searched by stays. */
const cut = (after: number): string =>
  `delete from records where sequence > ${after};
  update head set sequence = ${after}, hash = (select hash from records where sequence = ${after})`;

/** What somebody who cuts records off leaves behind must not be taken for true when the loss is accepted. */
export function describeLeftovers(name: string, openHarness: () => Promise<CutHarness>): void {
  it(`${name}: after a loss, records are again what the reviews that are left say`, async () => {
    await using harness = await openHarness();
    {
      await using store = await harness.open('a');
      await store.append([
        entry(),
        entry(),
        entry(),
        entry({ note: '"review":{"sequence":3,"state":"flagged"}' }),
      ]);
      await store.append([
        review(1, 'reviewed'),
        review(2, 'flagged', '{"review":{"sequence":3,"state":"x"}}'),
      ]);
      await store.append([review(2, 'reviewed'), review(4, 'flagged')]);
      // Cut off from here on.
      await store.append([review(2, 'flagged'), review(3, 'flagged'), review(4, 'reviewed'), entry()]);
    }
    await harness.sql(cut(8));
    await using store = await harness.open('b');
    await store.append([entry({ values: {} }), review(3, 'reviewed')]);
    const found = async (state: ReviewState) =>
      (await store.list({ review: state }, { limit: 10 })).map(({ sequence }) => sequence);
    expect(await found('reviewed')).toEqual([3, 2, 1]);
    expect(await found('flagged')).toEqual([4]);
    expect(await found('unreviewed')).toEqual([9]);
    const reviews = await store.reviews([1, 2, 3, 4, 9]);
    expect([...reviews].map(([record, { sequence }]) => [record, sequence])).toEqual(
      expect.arrayContaining([
        [1, 5],
        [2, 7],
        [3, 10],
        [4, 8],
      ]),
    );
    expect(await verify(store.stored(1), { until: await store.head() })).toMatchObject({
      kind: 'intact',
      records: 10,
    });
  });

  it(`${name}: after a loss, a record whose only review is gone is unreviewed`, async () => {
    await using harness = await openHarness();
    {
      await using store = await harness.open('a');
      await store.append([entry(), entry(), review(1, 'flagged')]);
    }
    await harness.sql(cut(2));
    await using store = await harness.open('b');
    await store.append([entry()]);
    expect((await store.list({ review: 'unreviewed' }, { limit: 9 })).map((it) => it.sequence)).toEqual([
      3, 2, 1,
    ]);
    expect(await verify(store.stored(1))).toMatchObject({ kind: 'intact', records: 3 });
  });
}
