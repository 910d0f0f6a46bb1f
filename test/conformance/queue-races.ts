import { describe, expect, it } from 'vitest';
import { REASONS } from '../../src/queue/queue.ts';
import { eventually, job, type OpenHarness, recordingProcess } from './queue.ts';

const SUBJECTS = 6;
const ADDERS = 6;
const ADDS = 60;
const PAIRS = 100;
const LATER_MS = 600_000;

/** Creates a random generator with a seed. It gives the same numbers at each run, and other numbers for each test. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

/** Waits for a few turns of the event loop or some milliseconds, as real work would. */
async function moment(random: (below: number) => number): Promise<void> {
  const ms = random(4);
  if (random(3) === 0) await new Promise((resolve) => setTimeout(resolve, ms));
  else for (let count = random(5); count > 0; count -= 1) await new Promise(setImmediate);
}

export function describeQueueRaces(name: string, openHarness: OpenHarness): void {
  describe(`${name}: races`, () => {
    it.each([1, 2, 3])(
      'never runs a subject twice at the same time, and never loses an add (seed %i)',
      async (seed) => {
        await using harness = await openHarness();
        const queues = [await harness.open({ concurrency: 4 })];
        if (harness.shared) queues.push(await harness.open({ concurrency: 4 }));
        let now = 0;
        const running = new Set<string>();
        const twice: string[] = [];
        const starts = new Map<string, number>();
        const adds: { subject: string; at: number }[] = [];
        for (const [index, queue] of queues.entries()) {
          const random = randomFrom(seed * 1000 + index);
          queue.start(async ({ subject }) => {
            if (running.has(subject)) twice.push(subject);
            running.add(subject);
            now += 1;
            starts.set(subject, now);
            await moment(random);
            running.delete(subject);
            // Some runs add a delayed job for their own subject. A delay of 600 s is longer than the test. If a run
            // adds a job with this delay, the next run of the subject starts only if another job is added.
            const delayMs = [undefined, undefined, undefined, 3, 600_000][random(5)];
            if (delayMs !== undefined) await queue.add([job(subject)], { delayMs });
          });
        }
        const adder = async (index: number): Promise<void> => {
          const random = randomFrom(seed * 100 + index);
          for (let count = 0; count < ADDS; count += 1) {
            const subject = `s${random(SUBJECTS)}`;
            const reason = REASONS[random(REASONS.length)] ?? 'sweep';
            const delayMs = [0, 0, 0, 2, 600_000][random(5)] ?? 0;
            now += 1;
            if (delayMs < 10) adds.push({ subject, at: now });
            await queues[index % queues.length]?.add([job(subject, reason)], { delayMs });
            await moment(random);
          }
        };
        await Promise.all(Array.from({ length: ADDERS }, (_, index) => adder(index)));
        const lost = () => adds.filter(({ subject, at }) => (starts.get(subject) ?? 0) <= at);
        await eventually(() => lost().length === 0);
        expect(twice).toEqual([]);
        for (const queue of queues) await queue.close(5_000);
      },
    );

    it('never delays a subject that is added without a delay, even if other processes add it with a delay at the same time', async () => {
      await using harness = await openHarness();
      const queues = [await harness.open({ concurrency: PAIRS })];
      if (harness.shared) for (let more = 0; more < 3; more += 1) queues.push(await harness.open());
      const [worker] = queues;
      const release = Promise.withResolvers<undefined>();
      const { process, subjects } = recordingProcess(() => release.promise);
      worker?.start(process);
      const names = Array.from({ length: PAIRS }, (_, index) => `p${index}`);
      for (const name of names) await worker?.add([job(name)]);
      await eventually(() => subjects().length === PAIRS);
      await Promise.all(
        names.flatMap((name, index) =>
          queues.map((queue, at) =>
            queue.add([job(name)], (at + index) % queues.length === 0 ? {} : { delayMs: LATER_MS }),
          ),
        ),
      );
      if (!harness.shared) for (const name of names) await worker?.add([job(name)], { delayMs: LATER_MS });
      release.resolve(undefined);
      await eventually(() => new Set(subjects().slice(PAIRS)).size === PAIRS);
      for (const queue of queues) await queue.close(5_000);
    });
  });
}
