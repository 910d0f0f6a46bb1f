import { expect, it, vi } from 'vitest';
import { createValueCache } from '../../src/providers/value-cache.ts';
import { collectGarbage } from '../fakes/collect-garbage.ts';

it('an answer leaves memory after its maximum age, without another request for it', async () => {
  const cache = createValueCache({ now: () => 0, maxAgeMs: 50 });
  const answers: WeakRef<object>[] = [];
  const request = async () => {
    const answer = { size: 1 };
    answers.push(new WeakRef(answer));
    return answer;
  };
  for (const id of ['a', 'b']) await cache.get(id, { mark: 0 }, { request, sizeOf: ({ size }) => size });
  await vi.waitFor(() => {
    collectGarbage();
    // Compare only whether they exist, because a failed assertion would keep the answers in memory.
    expect(answers.map((answer) => answer.deref() === undefined)).toEqual([true, true]);
  });
  expect(cache.has('a', { mark: 0 })).toBe(false);
});
