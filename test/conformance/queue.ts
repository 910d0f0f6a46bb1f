import { describe, expect, it } from 'vitest';
import type { Job, Process, Queue, Reason } from '../../src/queue/queue.ts';
import { describeQueueDelays } from './queue-delays.ts';
import { describeQueueRaces } from './queue-races.ts';

/** Where the queues of one test meet. */
export interface QueueHarness extends AsyncDisposable {
  /** As another process would open it; in memory there is but one. */
  open(options?: { readonly concurrency?: number }): Promise<Queue>;
  readonly shared: boolean;
}

export type OpenHarness = () => Promise<QueueHarness>;

export function job(subject: string, reason: Reason = 'sweep', requestId = 'r'): Job {
  return { subject, reason, requestId };
}

/** Asks until it holds; the promises of others go on in between. */
export async function eventually(holds: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A process that notes what it is given, and ends when the test says so. */
export function notes(then: (job: Job, run: number) => Promise<number | undefined> = async () => undefined) {
  const seen: Job[] = [];
  const process: Process = (it) => then(it, seen.push(it));
  return { seen, process, subjects: () => seen.map(({ subject }) => subject) };
}

export function describeQueue(name: string, openHarness: OpenHarness): void {
  describe(`${name} conforms`, () => {
    it('works on what was added, the urgent first and the rest in their order', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      const jobs = [
        ...[job('a'), job('b', 'drift'), job('c', 'event'), job('d', 'manual'), job('e', 'first')],
        ...[job('f', 'manual'), job('g'), job('h', 'first')],
      ];
      for (const it of jobs) await queue.add(it);
      const { process, subjects } = notes();
      queue.start(process);
      await queue.idle();
      expect(subjects()).toEqual(['d', 'f', 'e', 'h', 'c', 'b', 'a', 'g']);
    });

    it('has one job for a subject that waits, of the most urgent reason and its last request', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      await queue.add(job('a', 'sweep', 'one'));
      await queue.add(job('a', 'manual', 'two'));
      await queue.add(job('a', 'manual', 'three'));
      await queue.add(job('a', 'event', 'four'));
      const { seen, process } = notes();
      queue.start(process);
      await queue.idle();
      expect(seen).toEqual([job('a', 'manual', 'three')]);
    });

    it('brings a waiting job ahead when it becomes more urgent, and leaves it in its place otherwise', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      for (const subject of ['a', 'b', 'c']) await queue.add(job(subject, 'drift'));
      await queue.add(job('a', 'drift'));
      await queue.add(job('b', 'sweep'));
      await queue.add(job('c', 'event'));
      const { process, subjects } = notes();
      queue.start(process);
      await queue.idle();
      expect(subjects()).toEqual(['c', 'a', 'b']);
    });

    it('runs a subject once more for all triggers during its run, and never twice at a time', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 4 });
      const release = Promise.withResolvers<void>();
      let running = 0;
      let most = 0;
      const { seen, process } = notes(async (_, run) => {
        running += 1;
        most = Math.max(most, running);
        if (run === 1) await release.promise;
        running -= 1;
        return undefined;
      });
      queue.start(process);
      await queue.add(job('a', 'sweep', 'one'));
      await eventually(() => seen.length === 1);
      await queue.add(job('a', 'sweep', 'two'));
      await queue.add(job('a', 'event', 'three'));
      await queue.add(job('a', 'drift', 'four'));
      release.resolve();
      await queue.idle();
      expect(seen).toEqual([job('a', 'sweep', 'one'), job('a', 'event', 'three')]);
      expect(most).toBe(1);
    });

    it('works on no more subjects at a time than it may', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 3 });
      for (let number = 0; number < 20; number += 1) await queue.add(job(`t${number}`));
      let running = 0;
      let most = 0;
      const full = Promise.withResolvers<void>();
      const { seen, process } = notes(async () => {
        running += 1;
        most = Math.max(most, running);
        if (running >= 3) full.resolve();
        // Until as many run as may: a server that is busy hands out jobs slower than these would end.
        await full.promise;
        await new Promise(setImmediate);
        running -= 1;
        return undefined;
      });
      queue.start(process);
      await queue.idle();
      expect(most).toBe(3);
      expect(seen.length).toBe(20);
    });

    it('goes on after a process that throws', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      const { process, subjects } = notes(async ({ subject }, run) => {
        if (subject === 'a' && run === 1) throw new Error('unexpected');
        return undefined;
      });
      queue.start(process);
      await queue.add(job('a'));
      await eventually(() => subjects().length === 1);
      await queue.add(job('b'));
      await queue.add(job('a'));
      await eventually(() => subjects().length === 3);
      expect(subjects().toSorted()).toEqual(['a', 'a', 'b']);
    });

    it('drops what any process added under the same id before, until it may be forgotten', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      const other = harness.shared ? await harness.open() : queue;
      const { process, subjects } = notes();
      queue.start(process);
      const once = { id: 'slot-1', ttlMs: 60_000 };
      await queue.add(job('a'), { once });
      await eventually(() => subjects().length === 1);
      await other.add(job('a'), { once });
      await other.add(job('b'), { once });
      await other.add(job('c'), { once: { id: 'slot-2', ttlMs: 1 } });
      await eventually(() => subjects().length === 3);
      await eventually(async () => {
        await queue.add(job('c'), { once: { id: 'slot-2', ttlMs: 1 } });
        return subjects().length > 3;
      });
      await queue.add(job('a'), { once: { id: 'slot-2', ttlMs: 60_000 } });
      await queue.idle();
      expect(subjects().slice(0, 3)).toEqual(['a', 'b', 'c']);
      expect(subjects().filter((subject) => subject === 'a')).toHaveLength(2);
      await other[Symbol.asyncDispose]();
    });

    it('counts what waits, runs and is delayed', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      for (const subject of ['a', 'b', 'c']) await queue.add(job(subject, 'event'));
      await queue.add(job('d'), { delayMs: 60_000 });
      expect(await queue.counts()).toEqual({ waiting: 3, active: 0, delayed: 1 });
      const release = Promise.withResolvers<undefined>();
      const { seen, process } = notes(() => release.promise);
      queue.start(process);
      await eventually(() => seen.length === 1);
      expect(await queue.counts()).toEqual({ waiting: 2, active: 1, delayed: 1 });
      release.resolve(undefined);
      await eventually(() => seen.length === 3);
      await eventually(async () => (await queue.counts()).active === 0);
      expect(await queue.counts()).toEqual({ waiting: 0, active: 0, delayed: 1 });
    });

    it('is idle at once when there is nothing to do', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open();
      queue.start(async () => undefined);
      await queue.idle();
    });

    it('is up', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open();
      await eventually(() => queue.health().state === 'up');
    });

    it('tells of notices, of all that stand to whoever comes later, and of ends', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open();
      const other = harness.shared ? await harness.open() : queue;
      const told: [string, string | undefined][] = [];
      const stop = queue.notices.subscribe((...it) => void told.push(it));
      queue.notices.post('own', '1');
      other.notices.post('theirs', '2');
      other.notices.post('long', 'x'.repeat(5_000));
      await eventually(() => told.length >= 2);
      expect(told.toSorted()).toEqual([
        ['own', '1'],
        ['theirs', '2'],
      ]);
      const late: string[] = [];
      const third = harness.shared ? await harness.open() : queue;
      third.notices.subscribe((field, text) => void late.push(`${field}=${text}`));
      await eventually(() => late.length === 2);
      expect(late.toSorted()).toEqual(['own=1', 'theirs=2']);
      other.notices.post('own', undefined);
      await eventually(() => late.length === 3 && told.length === 3);
      expect([late.at(-1), told.at(-1)]).toEqual(['own=undefined', ['own', undefined]]);
      stop();
      other.notices.post('own', '3');
      await eventually(() => late.length === 4);
      expect(told).toHaveLength(3);
      for (const it of [other, third]) await it[Symbol.asyncDispose]();
    });

    it('waits at its close for what runs, takes no more, and says so', async () => {
      await using harness = await openHarness();
      const queue = await harness.open({ concurrency: 1 });
      const release = Promise.withResolvers<undefined>();
      const { seen, process } = notes(() => release.promise);
      queue.start(process);
      await queue.add(job('a'));
      await queue.add(job('b'));
      await eventually(() => seen.length === 1);
      let closed = false;
      const closing = queue.close(60_000).then(() => {
        closed = true;
      });
      await new Promise(setImmediate);
      expect(closed).toBe(false);
      release.resolve(undefined);
      await closing;
      expect(seen).toHaveLength(1);
      await expect(queue.add(job('c'))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
      await queue.close(0);
    });

    it('leaves at its close, after the time, what does not end, and tells it', async () => {
      await using harness = await openHarness();
      const queue = await harness.open({ concurrency: 1 });
      const release = Promise.withResolvers<undefined>();
      let signal: AbortSignal | undefined;
      queue.start((_, given) => {
        signal = given;
        return release.promise;
      });
      await queue.add(job('a'));
      await eventually(() => signal !== undefined);
      const began = performance.now();
      await queue.close(50);
      expect(performance.now() - began).toBeLessThan(3_000);
      expect(signal?.aborted).toBe(true);
      // Whoever owns it disposes of it, too: what was left is not waited for again.
      await queue[Symbol.asyncDispose]();
      expect(performance.now() - began).toBeLessThan(3_000);
      release.resolve(undefined);
    });
  });
  describeQueueDelays(name, openHarness);
  describeQueueRaces(name, openHarness);
}
