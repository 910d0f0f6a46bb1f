import { describe, expect, it } from 'vitest';
import { createSemaphore } from '../../src/core/semaphore.ts';

describe('a semaphore', () => {
  it('a semaphore limits concurrency, serves waiters in order, and releases the permit of a failed task', async () => {
    const { run } = createSemaphore(2);
    const begun: number[] = [];
    const ends = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
    const all = ends.map(({ promise }, index) =>
      run(() => {
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

  it('a semaphore serves urgent waiters first', async () => {
    const { run } = createSemaphore(1, 5);
    const begun: string[] = [];
    const work = (name: string) => async () => void begun.push(name);
    const running = Promise.withResolvers<void>();
    const all = [
      run(() => running.promise, { priority: 4 }),
      run(work('a sweep'), { priority: 4 }),
      run(work('another sweep'), { priority: 4 }),
      run(work('a first sync'), { priority: 1 }),
      run(work('without a priority')),
    ];
    running.resolve();
    await Promise.all(all);
    expect(begun).toEqual(['without a priority', 'a first sync', 'a sweep', 'another sweep']);
  });

  it('a semaphore serves the next waiter even if the previous waiter aborts while it receives the permit', async () => {
    const semaphore = createSemaphore(1);
    await semaphore.acquire();
    const aborted = new AbortController();
    const waiter = semaphore.acquire({ signal: aborted.signal });
    const next = semaphore.acquire();
    semaphore.release();
    aborted.abort();
    await waiter;
    semaphore.release();
    await next;
    expect(semaphore.isFull()).toBe(true);
    semaphore.release();
    expect(semaphore.isFull()).toBe(false);
  });
});
