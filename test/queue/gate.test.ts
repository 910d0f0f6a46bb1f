import { describe, expect, it } from 'vitest';
import { createGate } from '../../src/queue/gate.ts';

describe('a gate', () => {
  it('lets so many through at a time, in their order, and is not held by one that fails', async () => {
    const gate = createGate(2);
    const begun: number[] = [];
    const ends = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
    const all = ends.map(({ promise }, index) =>
      gate(() => {
        begun.push(index);
        return promise;
      }),
    );
    await new Promise(setImmediate);
    expect(begun).toEqual([0, 1]);
    ends[1]?.reject(new Error('failed'));
    await expect(all[1]).rejects.toThrow('failed');
    await new Promise(setImmediate);
    expect(begun).toEqual([0, 1, 2]);
    for (const { resolve } of ends) resolve();
    await Promise.allSettled(all);
    expect(begun).toEqual([0, 1, 2, 3]);
  });

  it('lets the more urgent pass those that wait', async () => {
    const gate = createGate(1, 5);
    const begun: string[] = [];
    const work = (name: string) => async () => void begun.push(name);
    const running = Promise.withResolvers<void>();
    const all = [
      gate(() => running.promise, 4),
      gate(work('a sweep'), 4),
      gate(work('another sweep'), 4),
      gate(work('a first sync'), 1),
      gate(work('of no rank')),
    ];
    running.resolve();
    await Promise.all(all);
    expect(begun).toEqual(['of no rank', 'a first sync', 'a sweep', 'another sweep']);
  });
});
