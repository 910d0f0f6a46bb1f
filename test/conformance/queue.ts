import { describe, expect, it } from 'vitest';
import type { Job, Process, Queue, Reason } from '../../src/queue/queue.ts';
import { describeQueueDelays } from './queue-delays.ts';
import { describeQueueRaces } from './queue-races.ts';

/** Opens the queues of one test, which share their storage. */
export interface QueueHarness extends AsyncDisposable {
  /** Opens the queue as another process. A memory queue has only one process. */
  open(options?: { readonly concurrency?: number }): Promise<Queue>;
  readonly shared: boolean;
}

export type OpenHarness = () => Promise<QueueHarness>;

export function job(subject: string, reason: Reason = 'sweep', requestId = 'r'): Job {
  return { subject, reason, requestId };
}

/** Waits until the condition is true. Checks it every few milliseconds. */
export async function eventually(holds: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Creates a process function that records each job and then calls `then`. */
export function recordingProcess(then: (job: Job, run: number) => Promise<void> = async () => undefined) {
  const seen: Job[] = [];
  const process: Process = (each) => then(each, seen.push(each));
  return { seen, process, subjects: () => seen.map(({ subject }) => subject) };
}

export function describeQueue(name: string, openHarness: OpenHarness): void {
  describe(`${name} conforms to the queue port`, () => {
    it('runs jobs by priority, and jobs of the same priority in the order in which they were added', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      const jobs = [
        ...[job('a'), job('b', 'drift'), job('c', 'event'), job('d', 'manual'), job('e', 'first')],
        ...[job('f', 'manual'), job('g'), job('h', 'first')],
      ];
      await queue.add(jobs);
      const { process, subjects } = recordingProcess();
      queue.start(process);
      await queue.idle();
      expect(subjects()).toEqual(['d', 'f', 'e', 'h', 'c', 'b', 'a', 'g']);
    });

    it('lets groups take turns, so that a group with many jobs does not delay another group', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      const many = (group: string, count: number) =>
        Array.from({ length: count }, (_, index) => ({ ...job(`${group}${index}`), group }));
      await queue.add([...many('a', 50), job('main')]);
      await queue.add(many('b', 3));
      await queue.add([{ ...job('urgent', 'event'), group: 'a' }]);
      const { process, subjects } = recordingProcess();
      queue.start(process);
      await queue.idle();
      expect(subjects()[0]).toBe('urgent');
      expect(subjects().slice(1, 4).toSorted()).toEqual(['a0', 'b0', 'main']);
      expect(subjects().slice(4, 8).toSorted()).toEqual(['a1', 'a2', 'b1', 'b2']);
      expect(subjects()).toHaveLength(55);
      expect(subjects().filter((subject) => subject.startsWith('a'))).toEqual(
        many('a', 50).map(({ subject }) => subject),
      );
    });

    it('passes the group of a job to its runs, also after a delay', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      const grouped = { ...job('x'), group: 'teams/a' };
      const { seen, process } = recordingProcess();
      queue.start(process);
      await queue.add([grouped]);
      await eventually(() => seen.length === 1);
      await queue.add([grouped], { delayMs: 20 });
      await eventually(() => seen.length === 2);
      expect(seen).toEqual([grouped, grouped]);
    });

    it('keeps one job for each waiting subject, with its most urgent reason and its latest request id', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      await queue.add([job('a', 'sweep', 'one')]);
      await queue.add([job('a', 'manual', 'two')]);
      await queue.add([job('a', 'manual', 'three')]);
      await queue.add([job('a', 'event', 'four')]);
      const { seen, process } = recordingProcess();
      queue.start(process);
      await queue.idle();
      expect(seen).toEqual([job('a', 'manual', 'three')]);
    });

    it('leaves a waiting job unchanged if its subject is added with the option `repeat`', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      await queue.add([job('a', 'event', 'one'), job('b', 'event', 'one')]);
      await queue.add([job('b', 'manual', 'two'), job('c', 'event', 'two')], { repeat: true });
      const { seen, process } = recordingProcess();
      queue.start(process);
      await queue.idle();
      expect(seen).toEqual([job('a', 'event', 'one'), job('b', 'event', 'one'), job('c', 'event', 'two')]);
    });

    it('moves a waiting job forward if it becomes more urgent, and otherwise leaves it in its place', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      for (const subject of ['a', 'b', 'c']) await queue.add([job(subject, 'drift')]);
      await queue.add([job('a', 'drift')]);
      await queue.add([job('b', 'sweep')]);
      await queue.add([job('c', 'event')]);
      const { process, subjects } = recordingProcess();
      queue.start(process);
      await queue.idle();
      expect(subjects()).toEqual(['c', 'a', 'b']);
    });

    it('runs a subject once more if it was added several times during its run, and never runs it twice at the same time', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 4 });
      const release = Promise.withResolvers<void>();
      let running = 0;
      let maxRunning = 0;
      const { seen, process } = recordingProcess(async (_, run) => {
        running += 1;
        maxRunning = Math.max(maxRunning, running);
        if (run === 1) await release.promise;
        running -= 1;
        return undefined;
      });
      queue.start(process);
      await queue.add([job('a', 'sweep', 'one')]);
      await eventually(() => seen.length === 1);
      await queue.add([job('a', 'sweep', 'two')]);
      await queue.add([job('a', 'event', 'three')]);
      await queue.add([job('a', 'drift', 'four')]);
      release.resolve();
      await queue.idle();
      expect(seen).toHaveLength(2);
      expect(seen[0]).toEqual(job('a', 'sweep', 'one'));
      // If several jobs of one subject are added, a shared queue keeps the last job, and the memory queue keeps the
      // most urgent job.
      expect(['three', 'four']).toContain(seen[1]?.requestId);
      expect(maxRunning).toBe(1);
    });

    it('runs no more jobs at the same time than allowed', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 3 });
      for (let number = 0; number < 20; number += 1) await queue.add([job(`t${number}`)]);
      let running = 0;
      let maxRunning = 0;
      const full = Promise.withResolvers<void>();
      const { seen, process } = recordingProcess(async () => {
        running += 1;
        maxRunning = Math.max(maxRunning, running);
        if (running >= 3) full.resolve();
        // Each run waits until the maximum number of runs has started. Without this wait, short runs could end before a
        // busy server starts the next job.
        await full.promise;
        await new Promise(setImmediate);
        running -= 1;
        return undefined;
      });
      queue.start(process);
      await queue.idle();
      expect(maxRunning).toBe(3);
      expect(seen.length).toBe(20);
    });

    it('runs the next jobs after a run that throws', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      const { process, subjects } = recordingProcess(async ({ subject }, run) => {
        if (subject === 'a' && run === 1) throw new Error('unexpected');
        return undefined;
      });
      queue.start(process);
      await queue.add([job('a')]);
      await eventually(() => subjects().length === 1);
      await queue.add([job('b')]);
      await queue.add([job('a')]);
      await eventually(() => subjects().length === 3);
      expect(subjects().toSorted()).toEqual(['a', 'a', 'b']);
    });

    it('ignores an add if any process has already used the id of this add for the same subject, until the id expires', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      const other = harness.shared ? await harness.open() : queue;
      const { process, subjects } = recordingProcess();
      queue.start(process);
      const once = { id: 'slot-1', ttlMs: 60_000 };
      await queue.add([job('a')], { once });
      await eventually(() => subjects().length === 1);
      await other.add([job('a')], { once });
      await other.add([job('b')], { once });
      await other.add([job('c')], { once: { id: 'slot-2', ttlMs: 1 } });
      await eventually(() => subjects().length === 3);
      await eventually(async () => {
        await queue.add([job('c')], { once: { id: 'slot-2', ttlMs: 1 } });
        return subjects().length > 3;
      });
      await queue.add([job('a')], { once: { id: 'slot-2', ttlMs: 60_000 } });
      await queue.idle();
      expect(subjects().slice(0, 3)).toEqual(['a', 'b', 'c']);
      expect(subjects().filter((subject) => subject === 'a')).toHaveLength(2);
      await other[Symbol.asyncDispose]();
    });

    it('counts its waiting, active and delayed jobs', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      for (const subject of ['a', 'b', 'c']) await queue.add([job(subject, 'event')]);
      await queue.add([job('d')], { delayMs: 60_000 });
      expect(await queue.counts()).toEqual({ waiting: 3, active: 0, delayed: 1 });
      const release = Promise.withResolvers<undefined>();
      const { seen, process } = recordingProcess(() => release.promise);
      queue.start(process);
      await eventually(() => seen.length === 1);
      expect(await queue.counts()).toEqual({ waiting: 2, active: 1, delayed: 1 });
      release.resolve(undefined);
      await eventually(() => seen.length === 3);
      await eventually(async () => (await queue.counts()).active === 0);
      expect(await queue.counts()).toEqual({ waiting: 0, active: 0, delayed: 1 });
    });

    it('counts as idle immediately if it contains no jobs', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open();
      queue.start(async () => undefined);
      await queue.idle();
    });

    it('reports its state as up', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open();
      await eventually(() => queue.health().state === 'up');
    });

    it('broadcasts messages and deletions to all processes, and drops messages that are too long', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open();
      const other = harness.shared ? await harness.open() : queue;
      const received: [string, string | undefined][] = [];
      const stop = queue.broadcast.subscribe((...each) => void received.push(each));
      queue.broadcast.send('own', '1');
      other.broadcast.send('theirs', '2');
      other.broadcast.send('long', 'x'.repeat(5_000));
      await eventually(() => received.length >= 2);
      expect(received.toSorted()).toEqual([
        ['own', '1'],
        ['theirs', '2'],
      ]);
      other.broadcast.send('own', undefined);
      await eventually(() => received.length === 3);
      expect(received.at(-1)).toEqual(['own', undefined]);
      const laterReceived: string[] = [];
      other.broadcast.subscribe((topic) => void laterReceived.push(topic));
      stop();
      other.broadcast.send('last', '3');
      await eventually(() => laterReceived.includes('last'));
      expect(received).toHaveLength(3);
      if (harness.shared) await other[Symbol.asyncDispose]();
    });

    it('sends a new subscriber the latest message of each topic if processes share the queue', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open();
      if (!harness.shared) return;
      const first: string[] = [];
      queue.broadcast.subscribe((topic, text) => void first.push(`${topic}=${text}`));
      for (const text of ['1', '2', '3']) {
        queue.broadcast.send('a', text);
        await eventually(() => first.includes(`a=${text}`));
      }
      queue.broadcast.send('b', '1');
      await eventually(() => first.includes('b=1'));
      await using other = await harness.open();
      const later: string[] = [];
      other.broadcast.subscribe((topic, text) => void later.push(`${topic}=${text}`));
      await eventually(() => later.length === 2);
      expect(later).toEqual(['a=3', 'b=1']);
    });

    it('waits for running jobs when it is closed, starts no further jobs, and rejects new ones', async () => {
      await using harness = await openHarness();
      const queue = await harness.open({ concurrency: 1 });
      const release = Promise.withResolvers<undefined>();
      const { seen, process } = recordingProcess(() => release.promise);
      queue.start(process);
      await queue.add([job('a')]);
      await queue.add([job('b')]);
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
      await expect(queue.add([job('c')])).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
      await queue.close(0);
    });

    it('begins no job after it was stopped, although jobs can still be added', async () => {
      await using harness = await openHarness();
      const queue = await harness.open({ concurrency: 1 });
      const release = Promise.withResolvers<undefined>();
      const signals: AbortSignal[] = [];
      queue.start((_, signal) => {
        signals.push(signal);
        return release.promise;
      });
      await queue.add([job('a')]);
      await eventually(() => signals.length === 1);
      expect(signals[0]?.aborted).toBe(false);
      queue.stop();
      expect(signals[0]?.reason).toMatchObject({ code: 'INTERRUPTED' });
      await queue.add([job('b')]);
      release.resolve(undefined);
      await queue.close(60_000);
      expect(signals).toHaveLength(1);
    });

    it('stops waiting for running jobs when the grace period ends, and aborts the signal of these jobs', async () => {
      await using harness = await openHarness();
      const queue = await harness.open({ concurrency: 1 });
      const release = Promise.withResolvers<undefined>();
      let signal: AbortSignal | undefined;
      queue.start((_, jobSignal) => {
        signal = jobSignal;
        return release.promise;
      });
      await queue.add([job('a')]);
      await eventually(() => signal !== undefined);
      const began = performance.now();
      await queue.close(50);
      expect(performance.now() - began).toBeLessThan(3_000);
      expect(signal?.aborted).toBe(true);
      // The owner may dispose the queue after closing it. The disposal does not wait for the jobs that `close` has
      // abandoned.
      await queue[Symbol.asyncDispose]();
      expect(performance.now() - began).toBeLessThan(3_000);
      release.resolve(undefined);
    });
  });
  describeQueueDelays(name, openHarness);
  describeQueueRaces(name, openHarness);
}
