import { expect, it } from 'vitest';
import { createReplayCache } from '../../src/events/webhook.ts';

it('the replay cache remembers a digest until the digest expires', () => {
  let now = 1_000;
  const cache = createReplayCache({ now: () => now }, 3);
  cache.add('a', 2_000);
  expect([cache.has('a'), cache.has('b')]).toEqual([true, false]);
  now = 2_000;
  cache.add('b', 3_000);
  expect(cache.has('a')).toBe(true);
  now = 2_001;
  cache.add('c', 3_000);
  expect([cache.has('a'), cache.has('b')]).toEqual([false, true]);
});

it('the replay cache evicts the oldest digest when the cache is full', () => {
  const cache = createReplayCache({ now: () => 0 }, 3);
  for (const digest of ['a', 'b', 'c', 'd']) cache.add(digest, 1_000);
  expect(['a', 'b', 'c', 'd'].map((digest) => cache.has(digest))).toEqual([false, true, true, true]);
});
