import { describe, expect, it } from 'vitest';
import { queryRecords } from '../../src/audit/query/query.ts';
import { MAX_NOTE_LENGTH, recordReview } from '../../src/audit/query/review.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { bare, entry } from './sample.ts';

const BY = { actor: { kind: 'operator', name: 'ann' }, requestId: 'r' } as const;

describe('review', () => {
  it('a review is stored as a separate record, and the last review of a record determines the review state of that record', async () => {
    await using audit = createMemoryAudit();
    await audit.append([entry(), bare()]);
    const first = await recordReview(audit, { sequence: 1, state: 'flagged', note: ' who was it? ', ...BY });
    expect(first).toMatchObject({
      sequence: 3,
      action: 'review',
      outcome: 'ok',
      actor: BY.actor,
      review: { sequence: 1, state: 'flagged' },
      note: 'who was it?',
    });
    expect(first).not.toHaveProperty('mapping');
    await recordReview(audit, { sequence: 1, state: 'reviewed', ...BY, actor: { kind: 'cli', name: 'bob' } });
    const { records } = await queryRecords(audit, {}, { limit: 10 });
    expect(records.map(({ sequence, reviewed }) => [sequence, reviewed?.state, reviewed?.by])).toEqual([
      [4, undefined, undefined],
      [3, undefined, undefined],
      [2, undefined, undefined],
      [1, 'reviewed', 'bob'],
    ]);
    expect(records[3]?.reviewed).toEqual({
      state: 'reviewed',
      by: 'bob',
      time: records[0]?.time,
      sequence: 4,
    });
  });

  it('a search by review state finds the reviewed records with that state, but never the records in which reviews are stored', async () => {
    await using audit = createMemoryAudit();
    await audit.append([entry(), bare(), entry()]);
    await recordReview(audit, { sequence: 1, state: 'flagged', ...BY });
    await recordReview(audit, { sequence: 2, state: 'reviewed', ...BY });
    const sequencesIn = async (state: 'unreviewed' | 'reviewed' | 'flagged') =>
      (await queryRecords(audit, { review: state }, { limit: 10 })).records.map(({ sequence }) => sequence);
    expect([
      await sequencesIn('unreviewed'),
      await sequencesIn('reviewed'),
      await sequencesIn('flagged'),
    ]).toEqual([[3], [2], [1]]);
  });

  it('a review is rejected and not stored if the reviewed record is missing or is itself a review, or if the note is too long', async () => {
    await using audit = createMemoryAudit();
    await audit.append([entry()]);
    await recordReview(audit, { sequence: 1, state: 'reviewed', ...BY });
    await expect(recordReview(audit, { sequence: 9, state: 'reviewed', ...BY })).rejects.toMatchObject({
      code: 'RECORD_MISSING',
    });
    await expect(recordReview(audit, { sequence: 2, state: 'reviewed', ...BY })).rejects.toMatchObject({
      code: 'NOT_REVIEWABLE',
    });
    const note = 'x'.repeat(MAX_NOTE_LENGTH + 1);
    await expect(recordReview(audit, { sequence: 1, state: 'flagged', note, ...BY })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    });
    expect(audit.records).toHaveLength(2);
  });
});
