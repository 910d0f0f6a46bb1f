import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { createListHash, difference, resort } from '../../src/core/lists.ts';

const POOL = Array.from({ length: 12 }, (_, id) => ({ id }));
const list = fc.shuffledSubarray(POOL);
const byId = (a: { id: number }, b: { id: number }) => a.id - b.id;

it('a sorted list to which differences are applied equals the sorted new list', () => {
  fc.assert(
    fc.property(fc.array(list, { minLength: 1, maxLength: 5 }), (versions) => {
      let before: readonly { id: number }[] = [];
      let sorted: readonly { id: number }[] = [];
      for (const after of versions) {
        const change = difference(before, after);
        expect(new Set(change.removed)).toEqual(new Set(before).difference(new Set(after)));
        expect(new Set(change.added)).toEqual(new Set(after).difference(new Set(before)));
        sorted = resort(sorted, change, byId);
        expect(sorted).toEqual(after.toSorted(byId));
        before = after;
      }
    }),
  );
});

it('the hash of a list depends on its items, and not on their order or on the lists before', () => {
  const textOf = ({ id }: { id: number }) => `item ${id}`;
  fc.assert(
    fc.property(list, list, (before, after) => {
      const hash = createListHash(textOf);
      const first = hash(before);
      const copies = after.map(({ id }) => ({ id }));
      expect(hash(copies)).toBe(createListHash(textOf)(after.toReversed()));
      const isSame = new Set(before).symmetricDifference(new Set(after)).size === 0;
      expect(hash(after) === first).toBe(isSame);
    }),
  );
});
