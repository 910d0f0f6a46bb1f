import { expect, it } from 'vitest';
import type { Entry, ReviewState } from '../../src/audit/entry.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { bare, entry } from './sample.ts';

export interface OrphanRowsHarness extends AsyncDisposable {
  open(replica: string): Promise<AuditStore>;
  /** Changes the database directly, without the audit store. */
  sql(text: string): Promise<void>;
}

const review = (sequence: number, state: ReviewState, note?: string): Entry =>
  bare({
    action: 'review',
    actor: { kind: 'operator', name: 'ann' },
    review: { sequence, state },
    ...(note === undefined ? {} : { note }),
  });

/** Deletes the last records and moves the head back, but keeps their search rows. */
const truncateRecords = (after: number): string =>
  `delete from records where sequence > ${after};
  update head set sequence = ${after}, hash = (select hash from records where sequence = ${after})`;

/**
 * Checks that search rows of lost records do not affect the store after a person has accepted the loss of these
 * records.
 */
export function describeOrphanRows(name: string, openHarness: () => Promise<OrphanRowsHarness>): void {
  it(`${name}: a record returns to its previous review state after its last review was lost`, async () => {
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
      // `truncateRecords` below deletes the records that are appended here.
      await store.append([review(2, 'flagged'), review(3, 'flagged'), review(4, 'reviewed'), entry()]);
    }
    await harness.sql(truncateRecords(8));
    await using store = await harness.open('b');
    await store.append([entry({ values: {} }), review(3, 'reviewed')]);
    const sequencesWith = async (state: ReviewState) =>
      (await store.list({ review: state }, { limit: 10 })).map(({ sequence }) => sequence);
    expect(await sequencesWith('reviewed')).toEqual([3, 2, 1]);
    expect(await sequencesWith('flagged')).toEqual([4]);
    expect(await sequencesWith('unreviewed')).toEqual([9]);
    const reviews = await store.reviews([1, 2, 3, 4, 9]);
    expect([...reviews].map(([record, { sequence }]) => [record, sequence])).toEqual(
      expect.arrayContaining([
        [1, 5],
        [2, 7],
        [3, 10],
        [4, 8],
      ]),
    );
    expect(await verify(store.storedRecords(1), { until: await store.head() })).toMatchObject({
      kind: 'intact',
      records: 10,
    });
  });

  it(`${name}: a record counts as unreviewed after its only review was lost`, async () => {
    await using harness = await openHarness();
    {
      await using store = await harness.open('a');
      await store.append([entry(), entry(), review(1, 'flagged')]);
    }
    await harness.sql(truncateRecords(2));
    await using store = await harness.open('b');
    await store.append([entry()]);
    expect(
      (await store.list({ review: 'unreviewed' }, { limit: 9 })).map((auditRecord) => auditRecord.sequence),
    ).toEqual([3, 2, 1]);
    expect(await verify(store.storedRecords(1))).toMatchObject({ kind: 'intact', records: 3 });
  });
}
