import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REASONS, type Reason } from '../../src/queue/queue.ts';
import { createLanes } from '../../src/service/lanes.ts';
import { settled } from './sample.ts';

interface Piece {
  readonly lane: string;
  readonly reason: Reason;
  readonly fails: boolean;
}

const piece: fc.Arbitrary<Piece> = fc.record({
  lane: fc.constantFrom('a', 'b'),
  reason: fc.constantFrom(...REASONS),
  fails: fc.boolean(),
});

/** Work that goes on until the test ends it. */
function createWorkers(places: number, queue: number) {
  const lanes = createLanes({ places, queue, now: () => 0 });
  const running = new Map<number, { readonly lane: string; readonly end: () => void }>();
  const began: number[] = [];
  const ended: Promise<unknown>[] = [];
  let count = 0;
  const begin = ({ lane, reason, fails }: Piece): number | undefined => {
    const number = count;
    count += 1;
    const result = lanes.run(lane, reason, async () => {
      began.push(number);
      const { promise, resolve } = Promise.withResolvers<void>();
      running.set(number, { lane, end: resolve });
      await promise;
      running.delete(number);
      if (fails) throw new Error(`piece ${number}`);
      return number;
    });
    if (result === undefined) return undefined;
    ended.push(
      result.then(
        (it) => expect([it, fails]).toEqual([number, false]),
        (error: unknown) => expect([(error as Error).message, fails]).toEqual([`piece ${number}`, true]),
      ),
    );
    return number;
  };
  return { begin, began, running, ended };
}

describe('lanes', () => {
  it('run all that they take, never more than their places at a time, by urgency', async () => {
    const ends = fc.array(fc.nat(20), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 30 }),
        ends,
        fc.integer({ min: 1, max: 3 }),
        async (all, order, places) => {
          const { begin, began, running, ended } = createWorkers(places, 4);
          const taken = new Map<number, Piece>();
          const inLane = (name: string) => [...running.values()].filter(({ lane }) => lane === name).length;
          const check = () => {
            for (const name of ['a', 'b']) expect(inLane(name)).toBeLessThanOrEqual(places);
          };
          for (const it of all) {
            const number = begin(it);
            if (number === undefined) expect(it.reason).not.toBe('manual');
            else taken.set(number, it);
            await settled();
            check();
          }
          for (let round = 0; running.size > 0; round += 1) {
            const numbers = [...running.keys()];
            const number = numbers[(order[round] ?? 0) % numbers.length] ?? 0;
            const lane = running.get(number)?.lane ?? '';
            const before = began.length;
            const waiting = [...taken].filter(
              ([it, { lane: other }]) => other === lane && !began.includes(it),
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
          expect([...began].sort()).toEqual([...taken.keys()].sort());
        },
      ),
      { numRuns: 60 },
    );
  });

  it('of one that is stuck hold nobody in another', async () => {
    const { begin, running } = createWorkers(2, 4);
    for (let index = 0; index < 20; index += 1) begin({ lane: 'dead', reason: 'first', fails: false });
    await settled();
    const number = begin({ lane: 'well', reason: 'sweep', fails: false });
    await settled();
    expect(running.has(number ?? -1)).toBe(true);
  });

  it('turn nobody away for what is less urgent', async () => {
    const { begin } = createWorkers(1, 4);
    const sweeps = Array.from({ length: 20 }, () => begin({ lane: 'a', reason: 'sweep', fails: false }));
    expect(sweeps.filter((it) => it !== undefined)).toHaveLength(5);
    expect(begin({ lane: 'a', reason: 'event', fails: false })).toBeDefined();
    expect(begin({ lane: 'a', reason: 'drift', fails: false })).toBeDefined();
  });

  it('hold a bounded number of whatever nobody waits for', () => {
    const { begin } = createWorkers(2, 4);
    const all = Array.from({ length: 1_000 }, (_, index) =>
      begin({
        lane: 'a',
        reason: (['first', 'event', 'drift', 'sweep'] as const)[index % 4] ?? 'first',
        fails: false,
      }),
    );
    expect(all.filter((it) => it !== undefined).length).toBeLessThanOrEqual(2 + 4 * 4);
  });

  it('have those come back that they turned away about as fast as they work', async () => {
    const places = 4;
    const workMs = 40;
    const jobs = 2_000;
    let now = 1;
    const lanes = createLanes({ places, queue: 8, now: () => now });
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
        const taken = lanes.run('a', 'first', () => {
          const { promise, resolve } = Promise.withResolvers<void>();
          ends.push({ at: now + workMs, end: resolve });
          return promise.then(() => {
            done += 1;
          });
        });
        if (taken === undefined) back.push({ id: job.id, at: now + lanes.comeBack('a', 'first') });
      }
      await settled();
      if (ends.length < places && back.length > 100) idle += 1;
      now += 10;
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
