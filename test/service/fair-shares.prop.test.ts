import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REASONS } from '../../src/queue/queue.ts';
import { FairShares } from '../../src/service/runs/fair-shares.ts';

const job = fc.record({
  group: fc.constantFrom('a', 'b', 'c', 'd'),
  reason: fc.constantFrom(...REASONS),
});

describe('fair shares', () => {
  it('give each group at most half, and the last place only to a group that has none', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 40 }), fc.array(job, { maxLength: 200 }), (limit, jobs) => {
        const shares = new FairShares(limit);
        for (const next of jobs) {
          if (!shares.isFairFor(next.group)) continue;
          shares.add(next, 1);
          if (shares.free() === 0) expect(shares.takenBy(next.group)).toBe(1);
        }
        for (const group of ['a', 'b', 'c', 'd'])
          expect(shares.takenBy(group)).toBeLessThanOrEqual(Math.ceil(limit / 2));
      }),
    );
  });

  it('count the places of less urgent jobs as free', () => {
    const shares = new FairShares(8);
    for (let count = 0; count < 4; count += 1) shares.add({ group: 'a', reason: 'sweep' }, 1);
    expect(shares.isFairFor('a', 'sweep')).toBe(false);
    expect(shares.isFairFor('a', 'event')).toBe(true);
    expect(shares.isFairFor('b', 'sweep')).toBe(true);
  });

  it('do not limit jobs without a group', () => {
    const shares = new FairShares(2);
    for (let count = 0; count < 2; count += 1) shares.add({ group: undefined, reason: 'first' }, 1);
    expect(shares.isFairFor(undefined)).toBe(true);
    expect(shares.isFairFor('a')).toBe(false);
  });
});
