import { describe, expect, it } from 'vitest';
import { createLoops } from '../../src/service/liveness/loops.ts';
import { createClock } from './sample.ts';

describe('loops', () => {
  it('the states of loops show how long each loop made no progress, and whether the loop missed its deadline', () => {
    const clock = createClock();
    const loops = createLoops(clock);
    const watch = loops.begin('watch', 100);
    loops.begin('tick', 50);
    clock.time += 60;
    watch.beat();
    clock.time += 50;
    expect(loops.states()).toEqual([
      { name: 'watch', ageMs: 50, deadlineMs: 100, stalled: false },
      { name: 'tick', ageMs: 110, deadlineMs: 50, stalled: true },
    ]);
  });

  it('two loops are independent even if they have the same name', () => {
    const loops = createLoops(createClock());
    const one = loops.begin('job a', 10);
    loops.begin('job a', 10);
    one.end();
    expect(loops.states()).toHaveLength(1);
  });

  it('loops are not reported after their end, even if they report progress afterwards', () => {
    const loops = createLoops(createClock());
    const loop = loops.begin('watch', 100);
    loop.end();
    loop.beat();
    loop.end();
    expect(loops.states()).toEqual([]);
  });

  it('loops do not count as stalled when the clock is set back', () => {
    const clock = createClock();
    const loops = createLoops(clock);
    loops.begin('tick', 50);
    clock.time -= 3_600_000;
    expect(loops.states()).toMatchObject([{ ageMs: 0, stalled: false }]);
  });
});
