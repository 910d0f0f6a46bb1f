import { describe, expect, it } from 'vitest';
import type { SyncContext } from '../../src/reconcile/context.ts';
import { createLoops } from '../../src/service/liveness/loops.ts';
import { createStoreProgress, withStoreProgress } from '../../src/service/liveness/store-progress.ts';
import { createClock } from './sample.ts';

function open() {
  const clock = createClock();
  const loops = createLoops(clock);
  return {
    clock,
    answers: createStoreProgress(() => clock.now()),
    begin: (name: string) => loops.begin(name, 60_000),
    ages: () => loops.states().map(({ name, ageMs }) => `${name} ${ageMs / 1_000}`),
  };
}

describe('an answer of a store', () => {
  it('an answer of a store counts as progress of exactly those jobs that wait for the store', () => {
    const { clock, answers, begin, ages } = open();
    const end = answers.trackWait(begin('both'), ['a', 'b']);
    answers.trackWait(begin('b'), ['b']);
    begin('none');
    clock.time += 50_000;
    answers.note('a');
    expect(ages()).toEqual(['both 0', 'b 50', 'none 50']);
    clock.time += 5_000;
    answers.note('b');
    expect(ages()).toEqual(['both 0', 'b 0', 'none 55']);
    end();
    clock.time += 5_000;
    for (const store of ['a', 'b']) answers.note(store);
    expect(ages()).toEqual(['both 5', 'b 0', 'none 60']);
  });

  it('answers of a store are recorded as progress at a limited rate', () => {
    const { clock, answers, begin, ages } = open();
    answers.trackWait(begin('a'), ['a']);
    answers.note('a');
    clock.time += 900;
    answers.note('a');
    expect(ages()).toEqual(['a 0.9']);
    clock.time += 100;
    answers.note('a');
    expect(ages()).toEqual(['a 0']);
  });

  it('an answer of a store counts while a sync context waits for the store, whatever the result, but not between two waits', async () => {
    const { clock, answers, begin, ages } = open();
    const loop = begin('job');
    const answer = Promise.withResolvers<never>();
    const plain: Pick<SyncContext, 'read' | 'find' | 'versions'> = {
      read: () => answer.promise,
      find: () => answer.promise,
      versions: () => answer.promise,
    };
    const context = withStoreProgress(plain as SyncContext, () => answers.trackWait(loop, ['a']));
    const all = Promise.allSettled([
      context.read([]),
      context.find('a', { path: '', tags: {} }),
      context.versions('a', []),
    ]);
    clock.time += 50_000;
    answers.note('a');
    expect(ages()).toEqual(['job 0']);
    answer.reject(new Error('as it may'));
    await all;
    clock.time += 50_000;
    answers.note('a');
    expect(ages()).toEqual(['job 50']);
  });
});
