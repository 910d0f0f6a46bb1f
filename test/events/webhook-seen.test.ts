import { expect, it } from 'vitest';
import { createSeen } from '../../src/events/webhook-seen.ts';

it('what was seen is known until its time is over, then forgotten', () => {
  let now = 1_000;
  const seen = createSeen({ now: () => now }, 3);
  seen.add('a', 2_000);
  expect([seen.has('a'), seen.has('b')]).toEqual([true, false]);
  now = 2_000;
  seen.add('b', 3_000);
  expect(seen.has('a')).toBe(true);
  now = 2_001;
  seen.add('c', 3_000);
  expect([seen.has('a'), seen.has('b')]).toEqual([false, true]);
});

it('no more is remembered than there is room for: the oldest goes', () => {
  const seen = createSeen({ now: () => 0 }, 3);
  for (const mark of ['a', 'b', 'c', 'd']) seen.add(mark, 1_000);
  expect(['a', 'b', 'c', 'd'].map((mark) => seen.has(mark))).toEqual([false, true, true, true]);
});
