import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REASONS, type Reason } from '../../src/queue/queue.ts';
import { createBulkhead } from '../../src/service/runs/bulkhead.ts';
import { settled } from './sample.ts';

interface Piece {
  readonly compartment: string;
  readonly reason: Reason;
  readonly fails: boolean;
}

const piece: fc.Arbitrary<Piece> = fc.record({
  compartment: fc.constantFrom('a', 'b'),
  reason: fc.constantFrom(...REASONS),
  fails: fc.boolean(),
});

/** Work that goes on until the test ends it, and a clock that goes on when the test says so. */
function createWorkers(places: number, queue: number) {
  let now = 0;
  const waking = new Map<object, { readonly at: number; readonly callback: () => void }>();
  const wake = (callback: () => void, ms: number) => {
    const id = {};
    waking.set(id, { at: now + ms, callback });
    return () => void waking.delete(id);
  };
  const bulkhead = createBulkhead({ concurrency: places, maxQueued: queue, now: () => now, wake });
  const running = new Map<number, { readonly compartment: string; readonly end: () => void }>();
  const began: number[] = [];
  /** By number: when to come back. */
  const away = new Map<number, number>();
  const all: Promise<unknown>[] = [];
  const begin = ({ compartment, reason, fails }: Piece): number => {
    const number = all.length;
    const result = bulkhead.run(compartment, reason, async () => {
      began.push(number);
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
          if (again !== undefined) away.set(number, again);
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
  return { begin, began, running, away, all, context };
}

describe('bulkhead', () => {
  it('run all that they take, never more than their places at a time, by urgency', async () => {
    const ends = fc.array(fc.nat(20), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 30 }),
        ends,
        fc.integer({ min: 1, max: 3 }),
        async (all, order, places) => {
          const { begin, began, running, away, all: ended } = createWorkers(places, 4);
          const taken = new Map<number, Piece>();
          const inLane = (name: string) =>
            [...running.values()].filter(({ compartment }) => compartment === name).length;
          const check = () => {
            for (const name of ['a', 'b']) expect(inLane(name)).toBeLessThanOrEqual(places);
          };
          for (const it of all) {
            taken.set(begin(it), it);
            await settled();
            check();
          }
          for (let round = 0; running.size > 0; round += 1) {
            const numbers = [...running.keys()];
            const number = numbers[(order[round] ?? 0) % numbers.length] ?? 0;
            const compartment = running.get(number)?.compartment ?? '';
            const before = began.length;
            const waiting = [...taken].filter(
              ([it, { compartment: other }]) => other === compartment && !began.includes(it),
            );
            running.get(number)?.end();
            await settled();
            check();
            // The place goes to the most urgent one, of equals to the first.
            const rank = ([it, { reason }]: [number, Piece]) => REASONS.indexOf(reason) * 1_000 + it;
            const next = waiting.toSorted((a, b) => rank(a) - rank(b))[0];
            expect(began.slice(before)).toEqual(next === undefined ? [] : [next[0]]);
          }
          await Promise.all(ended);
          // Nobody waited for long.
          expect(away.size).toBe(0);
          expect([...began].sort()).toEqual([...taken.keys()].sort());
        },
      ),
      { numRuns: 60 },
    );
  });

  it('of one that is stuck hold nobody in another', async () => {
    const { begin, running } = createWorkers(2, 4);
    for (let index = 0; index < 20; index += 1) begin({ compartment: 'dead', reason: 'first', fails: false });
    await settled();
    const number = begin({ compartment: 'well', reason: 'sweep', fails: false });
    await settled();
    expect(running.has(number ?? -1)).toBe(true);
  });

  it('turn nobody away for what is less urgent', async () => {
    const { begin, away, context } = createWorkers(1, 4);
    const sweeps = Array.from({ length: 20 }, () =>
      begin({ compartment: 'a', reason: 'sweep', fails: false }),
    );
    await context(1_000);
    expect(sweeps.filter((it) => !away.has(it))).toHaveLength(5);
    const urgent = (['event', 'drift'] as const).map((reason) =>
      begin({ compartment: 'a', reason, fails: false }),
    );
    await context(10_000);
    expect(urgent.filter((it) => away.has(it))).toEqual([]);
  });

  it('of one that is stuck hold a bounded number of whatever nobody waits for, after a second', async () => {
    const { begin, away, context, all } = createWorkers(2, 4);
    const reasons = ['first', 'event', 'drift', 'sweep', 'manual'] as const;
    const pieces = Array.from({ length: 1_000 }, (_, index) => reasons[index % 5] ?? 'first');
    for (const reason of pieces) begin({ compartment: 'a', reason, fails: false });
    await context(999);
    expect(away.size).toBe(0);
    await context(1);
    const manual = pieces.filter((it) => it === 'manual').length;
    expect(all.length - away.size).toBeLessThanOrEqual(2 + 4 * 4 + manual);
    expect([...away.keys()].filter((number) => pieces[number] === 'manual')).toEqual([]);
    // Whoever comes now is told at once.
    const late = begin({ compartment: 'a', reason: 'first', fails: false });
    await settled();
    expect(away.get(late)).toBeGreaterThanOrEqual(500);
  });

  it('of one that moves keep in line whoever has a turn soon', async () => {
    const { begin, away, context, running } = createWorkers(2, 4);
    const count = 60;
    for (let index = 0; index < count; index += 1) begin({ compartment: 'a', reason: 'first', fails: false });
    await settled();
    for (let done = 0; done < count; done += 1) {
      const [first] = running.values();
      first?.end();
      await context(10);
    }
    expect(away.size).toBe(0);
    expect(running.size).toBe(0);
  });

  it('of one that is slow turn away whoever would wait for long', async () => {
    const { begin, away, context, running } = createWorkers(1, 2);
    for (let index = 0; index < 3; index += 1) begin({ compartment: 'a', reason: 'first', fails: false });
    await settled();
    for (let done = 0; done < 2; done += 1) {
      await context(600);
      running.values().next().value?.end();
      begin({ compartment: 'a', reason: 'first', fails: false });
      await settled();
    }
    expect(away.size).toBe(0);
    await context(600);
    // Two wait, at 600 ms each.
    const late = begin({ compartment: 'a', reason: 'first', fails: false });
    await settled();
    expect(away.has(late)).toBe(true);
  });

  it('have those come back that they turned away about as fast as they work', async () => {
    const places = 4;
    const workMs = 40;
    const jobs = 2_000;
    let now = 1;
    const waking: { readonly at: number; readonly callback: () => void }[] = [];
    const wake = (callback: () => void, ms: number) => {
      const it = { at: now + ms, callback };
      waking.push(it);
      return () => void (waking.includes(it) && waking.splice(waking.indexOf(it), 1));
    };
    const bulkhead = createBulkhead({ concurrency: places, maxQueued: 8, now: () => now, wake });
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
          .run('a', 'first', async () => {
            const { promise, resolve } = Promise.withResolvers<void>();
            ends.push({ at: now + workMs, end: resolve });
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
      for (const it of ends.splice(0)) {
        if (it.at <= now) it.end();
        else ends.push(it);
      }
      await settled();
    }
    // 2,000 at 100 a second are 20 s. A return each second or so would be 20,000 tries.
    expect(now).toBeLessThan(28_000);
    expect(tries).toBeLessThan(4 * jobs);
    expect(idle * 10).toBeLessThan(2_000);
  });
});
