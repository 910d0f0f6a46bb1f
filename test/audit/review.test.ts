import { describe, expect, it } from 'vitest';
import { answer } from '../../src/audit/question/question.ts';
import { LONGEST_NOTE, review } from '../../src/audit/question/review.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { bare, entry } from './sample.ts';

const BY = { actor: { kind: 'operator', name: 'ann' }, requestId: 'r' } as const;

describe('a review', () => {
  it('is a record of its own, and the last one counts', async () => {
    await using audit = createMemoryAudit();
    await audit.append([entry(), bare()]);
    const first = await review(audit, { sequence: 1, state: 'flagged', note: ' who was it? ', ...BY });
    expect(first).toMatchObject({
      sequence: 3,
      action: 'review',
      outcome: 'ok',
      actor: BY.actor,
      review: { sequence: 1, state: 'flagged' },
      note: 'who was it?',
    });
    expect(first).not.toHaveProperty('mapping');
    await review(audit, { sequence: 1, state: 'reviewed', ...BY, actor: { kind: 'cli', name: 'bob' } });
    const { records } = await answer(audit, {}, { limit: 10 });
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

  it('narrows the list by its state; reviews need none', async () => {
    await using audit = createMemoryAudit();
    await audit.append([entry(), bare(), entry()]);
    await review(audit, { sequence: 1, state: 'flagged', ...BY });
    await review(audit, { sequence: 2, state: 'reviewed', ...BY });
    const found = async (state: 'unreviewed' | 'reviewed' | 'flagged') =>
      (await answer(audit, { review: state }, { limit: 10 })).records.map(({ sequence }) => sequence);
    expect([await found('unreviewed'), await found('reviewed'), await found('flagged')]).toEqual([
      [3],
      [2],
      [1],
    ]);
  });

  it('of nothing, of a review, or with a note without end is refused and leaves no record', async () => {
    await using audit = createMemoryAudit();
    await audit.append([entry()]);
    await review(audit, { sequence: 1, state: 'reviewed', ...BY });
    await expect(review(audit, { sequence: 9, state: 'reviewed', ...BY })).rejects.toMatchObject({
      code: 'RECORD_MISSING',
    });
    await expect(review(audit, { sequence: 2, state: 'reviewed', ...BY })).rejects.toMatchObject({
      code: 'NOT_REVIEWABLE',
    });
    const note = 'x'.repeat(LONGEST_NOTE + 1);
    await expect(review(audit, { sequence: 1, state: 'flagged', note, ...BY })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    });
    expect(audit.records).toHaveLength(2);
  });
});
