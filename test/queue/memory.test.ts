import { describe, expect, it } from 'vitest';
import { createMemoryQueue } from '../../src/queue/memory.ts';
import type { Job } from '../../src/queue/queue.ts';
import { createManualTime } from '../fakes/manual-time.ts';

function job(subject: string): Job {
  return { subject, reason: 'sweep', requestId: 'r' };
}

describe('memory queue', () => {
  it('the memory queue stops at the first error and rejects `idle` with this error if `stopOnFailure` is set', async () => {
    await using queue = createMemoryQueue({ concurrency: 1, stopOnFailure: true });
    for (const name of ['a', 'b', 'c']) await queue.add([job(name)]);
    const seen: string[] = [];
    queue.start(async ({ subject }) => {
      seen.push(subject);
      if (subject === 'b') throw new Error('no audit');
      return undefined;
    });
    await expect(queue.idle()).rejects.toThrow('no audit');
    expect(seen).toEqual(['a', 'b']);
  });

  it('the memory queue continues with other jobs after one job fails, and rejects `idle` with the error of that job', async () => {
    await using queue = createMemoryQueue({ concurrency: 1 });
    for (const name of ['a', 'b', 'c']) await queue.add([job(name)]);
    const seen: string[] = [];
    queue.start(async ({ subject }) => {
      seen.push(subject);
      if (subject === 'b') throw new Error('unexpected');
      return undefined;
    });
    await expect(queue.idle()).rejects.toThrow('unexpected');
    expect(seen).toEqual(['a', 'b', 'c']);
    await queue.idle();
  });

  it('the memory queue measures delays by its own clock, even delays that are too long for a timer', async () => {
    const timers = createManualTime();
    await using queue = createMemoryQueue({ concurrency: 1, timers });
    const seen: string[] = [];
    queue.start(async ({ subject }) => void seen.push(subject));
    const month = 31 * 86_400_000;
    await queue.add([job('a')], { delayMs: month });
    await timers.advance(month - 1);
    expect(seen).toEqual([]);
    await timers.advance(1);
    expect(seen).toEqual(['a']);
  });

  it('the memory queue keeps no timer after the queue is closed', async () => {
    const timers = createManualTime();
    const queue = createMemoryQueue({ concurrency: 1, timers });
    queue.start(async (current) => queue.add([current], { delayMs: 1_000 }));
    await queue.add([job('a')]);
    await queue.add([job('b')], { delayMs: 5_000 });
    await queue.close(1_000);
    expect(timers.waiting).toEqual([]);
  });

  it('the memory queue forgets each id of `once` when the id expires', async () => {
    const timers = createManualTime();
    await using queue = createMemoryQueue({ concurrency: 1, timers });
    const seen: string[] = [];
    queue.start(async ({ subject }) => void seen.push(subject));
    const once = { id: 'x', ttlMs: 100 };
    for (const wait of [0, 99, 1]) {
      await timers.advance(wait);
      await queue.add([job('a')], { once });
    }
    await queue.idle();
    expect(seen).toHaveLength(2);
  });

  it('the memory queue keeps a retry of 5 s on time when the clock is set back by an hour', async () => {
    const timers = createManualTime();
    // System timers do not follow changes of the wall clock.
    let offset = 0;
    const own = { now: () => timers.now() + offset, wake: timers.wake };
    await using queue = createMemoryQueue({ concurrency: 1, timers: own });
    const seen: string[] = [];
    queue.start(async ({ subject }) => void seen.push(subject));
    await queue.add([{ subject: 'a', reason: 'sweep', requestId: 'r' }], { delayMs: 5_000 });
    await timers.advance(1_000);
    offset = -3_600_000;
    await timers.advance(60_000);
    expect(seen).toEqual(['a']);
  });

  it('the memory queue starts a requested follow-up run immediately, even if the clock was set back during the run', async () => {
    const timers = createManualTime();
    await using queue = createMemoryQueue({ concurrency: 1, timers });
    const first = Promise.withResolvers<undefined>();
    let runs = 0;
    queue.start(async () => {
      runs += 1;
      return runs === 1 ? first.promise : undefined;
    });
    await queue.add([job('a')]);
    await queue.add([job('a')]);
    timers.set(timers.now() - 3_600_000);
    first.resolve(undefined);
    await timers.advance(0);
    expect(runs).toBe(2);
  });
});
