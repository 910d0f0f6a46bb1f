import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REASONS, type Reason } from '../../src/queue/queue.ts';
import { Bulkhead } from '../../src/service/runs/bulkhead.ts';
import { settled } from './sample.ts';

interface Piece {
  readonly compartment: string;
  readonly reason: Reason;
  readonly fails: boolean;
  readonly group?: string;
}

const piece: fc.Arbitrary<Piece> = fc.record({
  compartment: fc.constantFrom('a', 'b'),
  reason: fc.constantFrom(...REASONS),
  fails: fc.boolean(),
});

/** Creates jobs that run until the test ends them. The test also advances the clock of the bulkhead. */
function createWorkers(places: number, queue: number, maxJobs = 1_000) {
  let now = 0;
  const waking = new Map<object, { readonly at: number; readonly callback: () => void }>();
  const wake = (callback: () => void, ms: number) => {
    const id = {};
    waking.set(id, { at: now + ms, callback });
    return () => void waking.delete(id);
  };
  const bulkhead = new Bulkhead({ maxJobs, maxQueued: queue, now: () => now, wake });
  const running = new Map<number, { readonly compartment: string; readonly end: () => void }>();
  const started: number[] = [];
  /** The delays of retries, by job number. */
  const rejected = new Map<number, number>();
  const all: Promise<unknown>[] = [];
  const begin = ({ compartment, reason, fails, group }: Piece): number => {
    const number = all.length;
    const result = bulkhead.run({ name: compartment, concurrency: places, reason, group }, async () => {
      started.push(number);
      const { promise, resolve } = Promise.withResolvers<void>();
      running.set(number, { compartment, end: resolve });
      await promise;
      running.delete(number);
      if (fails) throw new Error(`piece ${number}`);
      return undefined;
    });
    all.push(
      result.then(
        (again) => {
          if (again !== undefined) rejected.set(number, again);
          else expect(fails).toBe(false);
        },
        (error: unknown) => expect([(error as Error).message, fails]).toEqual([`piece ${number}`, true]),
      ),
    );
    return number;
  };
  const context = async (ms: number): Promise<void> => {
    now += ms;
    for (const [id, { at, callback }] of waking)
      if (at <= now) {
        waking.delete(id);
        callback();
      }
    await settled();
  };
  return { begin, began: started, running, away: rejected, all, context };
}

const JOB = { name: 'a', concurrency: 1, reason: 'first', group: undefined } as const;

describe('bulkhead', () => {
  it('the bulkhead runs every accepted job in priority order, within the concurrency limit', async () => {
    const ends = fc.array(fc.nat(20), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 30 }),
        ends,
        fc.integer({ min: 1, max: 3 }),
        async (all, order, places) => {
          const { begin, began: started, running, away: rejected, all: ended } = createWorkers(places, 4);
          const taken = new Map<number, Piece>();
          const inLane = (name: string) =>
            [...running.values()].filter(({ compartment }) => compartment === name).length;
          const check = () => {
            for (const name of ['a', 'b']) expect(inLane(name)).toBeLessThanOrEqual(places);
          };
          for (const item of all) {
            taken.set(begin(item), item);
            await settled();
            check();
          }
          for (let round = 0; running.size > 0; round += 1) {
            const numbers = [...running.keys()];
            const number = numbers[(order[round] ?? 0) % numbers.length] ?? 0;
            const compartment = running.get(number)?.compartment ?? '';
            const before = started.length;
            const waiting = [...taken].filter(
              ([item, { compartment: other }]) => other === compartment && !started.includes(item),
            );
            running.get(number)?.end();
            await settled();
            check();
            // The most urgent job starts next; equal jobs start in order.
            const rank = ([item, { reason }]: [number, Piece]) => REASONS.indexOf(reason) * 1_000 + item;
            const next = waiting.toSorted((a, b) => rank(a) - rank(b))[0];
            expect(started.slice(before)).toEqual(next === undefined ? [] : [next[0]]);
          }
          await Promise.all(ended);
          // No job waited long enough to be rejected.
          expect(rejected.size).toBe(0);
          expect([...started].sort()).toEqual([...taken.keys()].sort());
        },
      ),
      { numRuns: 60 },
    );
  });

  it('the bulkhead does not block other compartments when one compartment is stuck', async () => {
    const { begin, running } = createWorkers(2, 4);
    for (let index = 0; index < 20; index += 1) begin({ compartment: 'dead', reason: 'first', fails: false });
    await settled();
    const number = begin({ compartment: 'well', reason: 'sweep', fails: false });
    await settled();
    expect(running.has(number ?? -1)).toBe(true);
  });

  it('the bulkhead leaves places for other compartments when several compartments with many tenants are stuck', async () => {
    const { begin, all, away: rejected, running, context } = createWorkers(16, 32, 128);
    for (let index = 0; index < 128; index += 1)
      begin({
        compartment: `dead-${index % 3}`,
        group: `tenant-${index % 50}`,
        reason: 'first',
        fails: false,
      });
    await context(1_000);
    expect(all.length - rejected.size).toBeLessThanOrEqual(96);
    for (let index = 0; index < 16; index += 1)
      begin({ compartment: 'well', group: 'tenant', reason: 'sweep', fails: false });
    await settled();
    expect([...running.values()].filter(({ compartment }) => compartment === 'well')).toHaveLength(8);
  });

  it.each([
    { tenants: 1, total: 8 },
    { tenants: 2, total: 11 },
    { tenants: 7, total: 14 },
  ])(
    'tenants that flood a compartment get equal shares of it, and leave room: $tenants tenants',
    async ({ tenants, total }) => {
      const { begin, running } = createWorkers(16, 32);
      for (let index = 0; index < 200; index += 1)
        begin({ compartment: 'a', group: `tenant-${index % tenants}`, reason: 'first', fails: false });
      const late = begin({ compartment: 'a', group: 'other', reason: 'sweep', fails: false });
      await settled();
      expect(running.size).toBe(total + 1);
      expect(running.has(late)).toBe(true);
    },
  );

  it('after each job, the bulkhead starts the job of the tenant that has the fewest running jobs', async () => {
    const { begin, running } = createWorkers(4, 32);
    for (let index = 0; index < 20; index += 1)
      begin({ compartment: 'a', group: 'flood', reason: 'first', fails: false });
    const others = ['x', 'y'].flatMap((group) =>
      [1, 2].map(() => begin({ compartment: 'a', group, reason: 'first', fails: false })),
    );
    await settled();
    for (let ended = 0; ended < 8; ended += 1) {
      running.values().next().value?.end();
      await settled();
    }
    expect(others.filter((number) => running.has(number))).toEqual([]);
  });

  it('the bulkhead rejects no urgent job when the queue is full of less urgent jobs', async () => {
    const { begin, away: rejected, context } = createWorkers(1, 4);
    const sweeps = Array.from({ length: 20 }, () =>
      begin({ compartment: 'a', reason: 'sweep', fails: false }),
    );
    await context(1_000);
    expect(sweeps.filter((sweep) => !rejected.has(sweep))).toHaveLength(5);
    const urgent = (['event', 'drift'] as const).map((reason) =>
      begin({ compartment: 'a', reason, fails: false }),
    );
    await context(10_000);
    expect(urgent.filter((item) => rejected.has(item))).toEqual([]);
  });

  it('the bulkhead limits the queue of a compartment after it is stuck for a second, but rejects no manual jobs', async () => {
    const { begin, away: rejected, context, all } = createWorkers(2, 4);
    const reasons = ['first', 'event', 'drift', 'sweep', 'manual'] as const;
    const pieces = Array.from({ length: 1_000 }, (_, index) => reasons[index % 5] ?? 'first');
    for (const reason of pieces) begin({ compartment: 'a', reason, fails: false });
    await context(999);
    expect(rejected.size).toBe(0);
    await context(1);
    const manual = pieces.filter((item) => item === 'manual').length;
    expect(all.length - rejected.size).toBeLessThanOrEqual(2 + 4 * 4 + manual);
    expect([...rejected.keys()].filter((number) => pieces[number] === 'manual')).toEqual([]);
    // From now on, a new job is rejected immediately.
    const late = begin({ compartment: 'a', reason: 'first', fails: false });
    await settled();
    expect(rejected.get(late)).toBeGreaterThanOrEqual(500);
  });

  it.each([
    ['waits for a slow compartment while the process is busy', 0.9, 0],
    ['rejects the jobs of a slow compartment while the process is not busy', 0.1, 7],
  ])('the bulkhead %s', async (_, busyShare, expected) => {
    let now = 0;
    const timers: (() => void)[] = [];
    const wake = (callback: () => void) => {
      timers.push(callback);
      return () => void (timers.includes(callback) && timers.splice(timers.indexOf(callback), 1));
    };
    const options = {
      maxJobs: 100,
      maxQueued: 2,
      now: () => now,
      wake,
      busyShare: () => busyShare,
    };
    const bulkhead = new Bulkhead(options);
    const ends: (() => void)[] = [];
    const all = Array.from({ length: 10 }, () =>
      bulkhead.run(JOB, async () => {
        const { promise, resolve } = Promise.withResolvers<undefined>();
        ends.push(() => resolve(undefined));
        return promise;
      }),
    );
    // No job ends in the first seconds.
    for (let second = 0; second < 5; second += 1) {
      now += 1_000;
      for (const callback of timers.splice(0)) callback();
      await settled();
    }
    for (let ended = 0; ended < all.length; ended += 1) {
      ends[ended]?.();
      await settled();
    }
    const delays = await Promise.all(all);
    expect(delays.filter((delay) => delay !== undefined)).toHaveLength(expected);
  });

  it('while the process is busy, jobs wait up to a minute for a compartment whose jobs end', async () => {
    let now = 0;
    const bulkhead = new Bulkhead({
      maxJobs: 200,
      maxQueued: 2,
      now: () => now,
      wake: () => () => undefined,
      busyShare: () => 0.9,
    });
    const ends: (() => void)[] = [];
    let rejected = 0;
    const begin = () =>
      void bulkhead
        .run(JOB, async () => {
          const { promise, resolve } = Promise.withResolvers<undefined>();
          ends.push(() => resolve(undefined));
          return promise;
        })
        .then((delay) => {
          if (delay !== undefined) rejected += 1;
        });
    for (let job = 0; job < 3; job += 1) begin();
    for (let ended = 0; ended < 2; ended += 1) {
      now += 1_000;
      await settled();
      ends.shift()?.();
      await settled();
    }
    // One job runs, and a job ends every second.
    for (let job = 0; job < 100; job += 1) begin();
    await settled();
    expect(rejected).toBe(40);
  });

  it('the bulkhead starts the next job when a job releases its capacity before its end', async () => {
    const bulkhead = new Bulkhead({ maxJobs: 100, maxQueued: 4, now: () => 0 });
    const end = Promise.withResolvers<undefined>();
    const started: number[] = [];
    const begin = (number: number) =>
      bulkhead.run(JOB, (release) => {
        started.push(number);
        if (number === 0) release();
        return end.promise;
      });
    const all = [begin(0), begin(1), begin(2)];
    await settled();
    expect(started).toEqual([0, 1]);
    end.resolve(undefined);
    await Promise.all(all);
    expect(started).toEqual([0, 1, 2]);
    // The capacity of the first job was returned only once.
    const stuck = Promise.withResolvers<undefined>();
    const later = [3, 4].map((number) =>
      bulkhead.run(JOB, () => {
        started.push(number);
        return stuck.promise;
      }),
    );
    await settled();
    expect(started).toEqual([0, 1, 2, 3]);
    stuck.resolve(undefined);
    await Promise.all(later);
  });

  it('the bulkhead announces jobs that are near their start', async () => {
    const bulkhead = new Bulkhead({
      maxJobs: 100,
      maxQueued: 2,
      now: () => 0,
      wake: () => () => undefined,
    });
    const stuck = Promise.withResolvers<undefined>();
    const announced: number[] = [];
    const all = Array.from({ length: 10 }, (_, number) =>
      bulkhead.run(
        JOB,
        () => stuck.promise,
        () => void announced.push(number),
      ),
    );
    expect(announced).toEqual([1, 2]);
    stuck.resolve(undefined);
    await Promise.all(all);
    // Each of the others was announced when it moved forward.
    expect(announced).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('the bulkhead does not reject waiting jobs that will start soon', async () => {
    const { begin, away: rejected, context, running } = createWorkers(2, 4);
    const count = 60;
    for (let index = 0; index < count; index += 1) begin({ compartment: 'a', reason: 'first', fails: false });
    await settled();
    for (let done = 0; done < count; done += 1) {
      const [first] = running.values();
      first?.end();
      await context(10);
    }
    expect(rejected.size).toBe(0);
    expect(running.size).toBe(0);
  });

  it('the bulkhead rejects jobs that would wait long in a slow compartment', async () => {
    const { begin, away: rejected, context, running } = createWorkers(1, 2);
    for (let index = 0; index < 3; index += 1) begin({ compartment: 'a', reason: 'first', fails: false });
    await settled();
    for (let done = 0; done < 2; done += 1) {
      await context(600);
      running.values().next().value?.end();
      begin({ compartment: 'a', reason: 'first', fails: false });
      await settled();
    }
    expect(rejected.size).toBe(0);
    await context(600);
    // Two jobs are waiting, and each takes 600 ms.
    const late = begin({ compartment: 'a', reason: 'first', fails: false });
    await settled();
    expect(rejected.has(late)).toBe(true);
  });

  it.each([
    { name: 'jobs that end one after another', jobs: 2_000, places: 4, endsEveryMs: 10, longestMs: 28_000 },
    // 16 jobs end together, like jobs that share a disk sync.
    { name: 'jobs that end in bursts', jobs: 1_000, places: 16, endsEveryMs: 120, longestMs: 11_000 },
  ])(
    'the bulkhead spreads the retries of rejected jobs over time, at about the rate at which the compartment runs jobs: $name',
    async ({ jobs, places, endsEveryMs, longestMs }) => {
      const workMs = 40;
      let now = 1;
      const waking: { readonly at: number; readonly callback: () => void }[] = [];
      const wake = (callback: () => void, ms: number) => {
        const item = { at: now + ms, callback };
        waking.push(item);
        return () => void (waking.includes(item) && waking.splice(waking.indexOf(item), 1));
      };
      const bulkhead = new Bulkhead({
        maxJobs: 1_000,
        maxQueued: 8,
        now: () => now,
        wake,
      });
      const ends: { at: number; readonly end: () => void }[] = [];
      const back = Array.from({ length: jobs }, (_, id) => ({ id, at: 0 }));
      let done = 0;
      let tries = 0;
      let idle = 0;
      while (done < jobs) {
        for (const job of back.splice(0).toSorted((a, b) => a.at - b.at)) {
          if (job.at > now) {
            back.push(job);
            continue;
          }
          tries += 1;
          void bulkhead
            .run({ ...JOB, concurrency: places }, async () => {
              const { promise, resolve } = Promise.withResolvers<void>();
              const at = Math.ceil((now + workMs) / endsEveryMs) * endsEveryMs;
              ends.push({ at, end: resolve });
              await promise;
              done += 1;
              return undefined;
            })
            .then((again) => void (again !== undefined && back.push({ id: job.id, at: now + again })));
        }
        await settled();
        if (ends.length < places && back.length > 100) idle += 1;
        now += 10;
        for (const { callback } of waking.filter(({ at }) => at <= now)) callback();
        for (const item of ends.splice(0)) {
          if (item.at <= now) item.end();
          else ends.push(item);
        }
        await settled();
      }
      // 2,000 jobs at 100 a second take 20 s, and 1,000 jobs in bursts of 16 take 7.5 s. Retries every second or so would
      // add ten times as many attempts.
      expect(now).toBeLessThan(longestMs);
      expect(tries).toBeLessThan(4 * jobs);
      expect(idle * 10).toBeLessThan(2_000);
    },
  );
});
