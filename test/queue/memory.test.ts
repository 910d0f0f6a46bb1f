import { describe, expect, it } from 'vitest';
import { createMemoryQueue } from '../../src/queue/memory.ts';
import type { Job, Reason } from '../../src/queue/queue.ts';

function job(secret: string, reason: Reason = 'sweep', requestId = 'r'): Job {
  return { target: { namespace: 'n', secret }, mapping: 'm', reason, requestId };
}

describe('the queue in memory', () => {
  it('works on what was added, the urgent first and the rest in their order', async () => {
    await using queue = createMemoryQueue({ concurrency: 1 });
    for (const it of [job('a'), job('b', 'event'), job('c', 'manual'), job('d', 'manual'), job('e', 'first')])
      await queue.add(it);
    const seen: string[] = [];
    queue.start(async ({ target }) => void seen.push(target.secret));
    await queue.idle();
    expect(seen).toEqual(['c', 'd', 'e', 'b', 'a']);
  });

  it('has one job for a target that waits, of the more urgent reason', async () => {
    await using queue = createMemoryQueue({ concurrency: 1 });
    await queue.add(job('a', 'sweep', 'one'));
    await queue.add(job('a', 'manual', 'two'));
    await queue.add(job('a', 'event', 'three'));
    const seen: string[] = [];
    queue.start(async ({ requestId }) => void seen.push(requestId));
    await queue.idle();
    expect(seen).toEqual(['two']);
  });

  it('runs a target once more, and never twice at a time, for triggers during its run', async () => {
    await using queue = createMemoryQueue({ concurrency: 4 });
    const release = Promise.withResolvers<void>();
    let running = 0;
    let runs = 0;
    queue.start(async () => {
      running += 1;
      runs += 1;
      expect(running).toBe(1);
      if (runs === 1) await release.promise;
      running -= 1;
    });
    await queue.add(job('a'));
    await queue.add(job('a'));
    await queue.add(job('a'));
    release.resolve();
    await queue.idle();
    expect(runs).toBe(2);
  });

  it('works on no more targets at a time than it may', async () => {
    await using queue = createMemoryQueue({ concurrency: 3 });
    for (let number = 0; number < 20; number += 1) await queue.add(job(`t${number}`));
    let running = 0;
    let most = 0;
    queue.start(async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
    });
    await queue.idle();
    expect(most).toBe(3);
  });

  it('stops at what a job throws, and says so to whoever waits', async () => {
    await using queue = createMemoryQueue({ concurrency: 1 });
    for (const name of ['a', 'b', 'c']) await queue.add(job(name));
    const seen: string[] = [];
    queue.start(async ({ target }) => {
      seen.push(target.secret);
      if (target.secret === 'b') throw new Error('no audit');
    });
    await expect(queue.idle()).rejects.toThrow('no audit');
    expect(seen).toEqual(['a', 'b']);
  });

  it('is idle at once when there is nothing to do', async () => {
    await using queue = createMemoryQueue({ concurrency: 1 });
    queue.start(async () => undefined);
    await queue.idle();
  });
});
