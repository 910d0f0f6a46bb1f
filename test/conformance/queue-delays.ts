import { describe, expect, it } from 'vitest';
import { eventually, job, type OpenHarness, recordingProcess } from './queue.ts';

/** A delay that is so long that a test notices if a job wrongly waits for it. */
const LATER_MS = 60_000;

export function describeQueueDelays(name: string, openHarness: OpenHarness): void {
  describe(`${name}: delays`, () => {
    it('does not run a delayed job before its time', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open();
      const { process, subjects } = recordingProcess();
      queue.start(process);
      const began = performance.now();
      await queue.add([job('a')], { delayMs: 1_000 });
      await queue.add([job('b')]);
      await eventually(() => subjects().length === 2);
      expect(subjects()).toEqual(['b', 'a']);
      // Rounding can make a delay one millisecond shorter.
      expect(performance.now() - began).toBeGreaterThanOrEqual(998);
    });

    it('runs a delayed job immediately, with the reason of the second add, if its subject is added again without a delay', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open();
      const { seen, process } = recordingProcess();
      queue.start(process);
      await queue.add([job('a', 'drift', 'one')], { delayMs: LATER_MS });
      await queue.add([job('a', 'manual', 'two')]);
      await eventually(() => seen.length === 1);
      expect(seen).toEqual([job('a', 'manual', 'two')]);
      expect(await queue.counts()).toMatchObject({ waiting: 0, delayed: 0 });
    });

    it('runs a delayed job with the higher of both priorities if its subject is added again without a delay', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open({ concurrency: 1 });
      await queue.add([job('a', 'sweep')], { delayMs: LATER_MS });
      for (const subject of ['b', 'c']) await queue.add([job(subject, 'event')]);
      await queue.add([job('a', 'manual')]);
      const { process, subjects } = recordingProcess();
      queue.start(process);
      await queue.idle();
      expect(subjects()).toEqual(['a', 'b', 'c']);
    });

    it('runs a subject at the earliest of its times if it is added with several delays', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open();
      const { process, subjects } = recordingProcess();
      queue.start(process);
      await queue.add([job('a')], { delayMs: LATER_MS });
      await queue.add([job('a')], { delayMs: 2_000 });
      await queue.add([job('a')], { delayMs: 2 * LATER_MS });
      await queue.add([job('b', 'event')], { delayMs: 2_100 });
      await queue.add([job('b', 'event')], { delayMs: LATER_MS });
      expect(await queue.counts()).toMatchObject({ delayed: 2 });
      await eventually(() => subjects().length === 2);
      expect(await queue.counts()).toMatchObject({ waiting: 0, delayed: 0 });
    });

    it.each([
      ['before', [undefined, LATER_MS]],
      ['after', [LATER_MS, undefined]],
    ])(
      'runs a subject again immediately after its run if, during the run, one add had no delay and came %s an add with a delay',
      async (_, delays) => {
        await using harness = await openHarness();
        await using queue = await harness.open();
        const release = Promise.withResolvers<undefined>();
        const { seen, process } = recordingProcess(() => release.promise);
        queue.start(process);
        await queue.add([job('a')]);
        await eventually(() => seen.length === 1);
        for (const delayMs of delays) await queue.add([job('a')], delayMs === undefined ? {} : { delayMs });
        release.resolve(undefined);
        await eventually(() => seen.length === 2);
      },
    );

    it('runs a subject again only after the delay if every add during the run has a delay', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open();
      const release = Promise.withResolvers<undefined>();
      const { seen, process } = recordingProcess(() => release.promise);
      queue.start(process);
      await queue.add([job('a')]);
      await eventually(() => seen.length === 1);
      await queue.add([job('a')], { delayMs: LATER_MS });
      release.resolve(undefined);
      await eventually(async () => (await queue.counts()).delayed === 1);
      expect(seen).toHaveLength(1);
    });

    it('runs a subject again after the delay that its run has requested', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open();
      const times: number[] = [];
      const { seen, process } = recordingProcess(async (current, run) => {
        times.push(performance.now());
        if (run < 3) await queue.add([current], { delayMs: 60 });
      });
      queue.start(process);
      await queue.add([job('a', 'event', 'one')]);
      await eventually(() => seen.length === 3);
      await queue.idle();
      expect(seen).toEqual([1, 2, 3].map(() => job('a', 'event', 'one')));
      const [first = 0, second = 0, third = 0] = times;
      for (const gap of [second - first, third - second]) expect(gap).toBeGreaterThanOrEqual(58);
    });

    it('runs a subject once more after its run if its delayed job becomes due during the run', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open();
      const release = Promise.withResolvers<undefined>();
      const { seen, process } = recordingProcess((_, run) =>
        run === 1 ? release.promise : Promise.resolve(undefined),
      );
      queue.start(process);
      await queue.add([job('a')]);
      await eventually(() => seen.length === 1);
      await queue.add([job('a', 'sweep', 'later')], { delayMs: 20 });
      await eventually(async () => (await queue.counts()).delayed === 0);
      expect(seen).toHaveLength(1);
      release.resolve(undefined);
      await eventually(() => seen.length === 2);
      expect(seen[1]?.requestId).toBe('later');
      await queue.idle();
      expect(seen).toHaveLength(2);
    });

    it('removes the delayed job of a subject when the subject runs', async () => {
      await using harness = await openHarness();
      await using queue = await harness.open();
      const { seen, process } = recordingProcess();
      queue.start(process);
      await queue.add([job('a', 'sweep', 'one')], { delayMs: LATER_MS });
      await queue.add([job('b', 'sweep', 'one')], { delayMs: LATER_MS });
      await queue.add([job('a', 'event', 'two')]);
      await eventually(() => seen.length === 1);
      expect(seen).toEqual([job('a', 'event', 'two')]);
      await eventually(async () => (await queue.counts()).delayed === 1);
    });
  });
}
