import { describe, expect, it } from 'vitest';
import { createAnswers, withAnswers } from '../../src/service/liveness/answers.ts';
import { createLoops } from '../../src/service/liveness/loops.ts';
import type { Pass } from '../../src/service/runs/pass.ts';
import { createClock } from './sample.ts';

function open() {
  const clock = createClock();
  const loops = createLoops(clock);
  return {
    clock,
    answers: createAnswers(() => clock.now()),
    begin: (name: string) => loops.begin(name, 60_000),
    ages: () => loops.states().map(({ name, ageMs }) => `${name} ${ageMs / 1_000}`),
  };
}

describe('an answer of a store', () => {
  it('is progress of all who wait for it, and of nobody else', () => {
    const { clock, answers, begin, ages } = open();
    const end = answers.awaitedBy(begin('both'), ['a', 'b']);
    answers.awaitedBy(begin('b'), ['b']);
    begin('none');
    clock.time += 50_000;
    answers.tell('a');
    expect(ages()).toEqual(['both 0', 'b 50', 'none 50']);
    clock.time += 5_000;
    answers.tell('b');
    expect(ages()).toEqual(['both 0', 'b 0', 'none 55']);
    end();
    clock.time += 5_000;
    for (const store of ['a', 'b']) answers.tell(store);
    expect(ages()).toEqual(['both 5', 'b 0', 'none 60']);
  });

  it('is told no more often than matters', () => {
    const { clock, answers, begin, ages } = open();
    answers.awaitedBy(begin('a'), ['a']);
    answers.tell('a');
    clock.time += 900;
    answers.tell('a');
    expect(ages()).toEqual(['a 0.9']);
    clock.time += 100;
    answers.tell('a');
    expect(ages()).toEqual(['a 0']);
  });

  it('counts while a pass asks a store, whatever comes of it, and not in between', async () => {
    const { clock, answers, begin, ages } = open();
    const loop = begin('job');
    const asked = Promise.withResolvers<never>();
    const plain: Pick<Pass, 'read' | 'find' | 'versions'> = {
      read: () => asked.promise,
      find: () => asked.promise,
      versions: () => asked.promise,
    };
    const pass = withAnswers(plain as Pass, () => answers.awaitedBy(loop, ['a']));
    const all = Promise.allSettled([
      pass.read([]),
      pass.find('a', { path: '', tags: {} }),
      pass.versions('a', []),
    ]);
    clock.time += 50_000;
    answers.tell('a');
    expect(ages()).toEqual(['job 0']);
    asked.reject(new Error('as it may'));
    await all;
    clock.time += 50_000;
    answers.tell('a');
    expect(ages()).toEqual(['job 50']);
  });
});
