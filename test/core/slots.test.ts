import { describe, expect, it } from 'vitest';
import { createSlots } from '../../src/core/slots.ts';

describe('slots', () => {
  it('let so many through at a time, in their order, and are not held by one that fails', async () => {
    const { hold } = createSlots(2);
    const begun: number[] = [];
    const ends = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
    const all = ends.map(({ promise }, index) =>
      hold(() => {
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

  it('let the more urgent pass those that wait', async () => {
    const { hold } = createSlots(1, 5);
    const begun: string[] = [];
    const work = (name: string) => async () => void begun.push(name);
    const running = Promise.withResolvers<void>();
    const all = [
      hold(() => running.promise, { rank: 4 }),
      hold(work('a sweep'), { rank: 4 }),
      hold(work('another sweep'), { rank: 4 }),
      hold(work('a first sync'), { rank: 1 }),
      hold(work('of no rank')),
    ];
    running.resolve();
    await Promise.all(all);
    expect(begun).toEqual(['of no rank', 'a first sync', 'a sweep', 'another sweep']);
  });

  it('lose nobody where one is given a slot in the moment in which it gives up', async () => {
    const slots = createSlots(1);
    await slots.take();
    const gone = new AbortController();
    const given = slots.take({ signal: gone.signal });
    const next = slots.take();
    slots.give();
    gone.abort();
    await given;
    slots.give();
    await next;
    expect(slots.isFull()).toBe(true);
    slots.give();
    expect(slots.isFull()).toBe(false);
  });
});
