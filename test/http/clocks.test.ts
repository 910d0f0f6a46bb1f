import { describe, expect, it } from 'vitest';
import { createAnswerCache } from '../../src/http/answer-cache.ts';
import { createGuesses } from '../../src/http/guesses.ts';
import { createManualTime } from '../fakes/manual-time.ts';

const HOUR = 3_600_000;

describe('when the clock is set back by an hour', () => {
  it('an answer is kept no longer for that', async () => {
    const clock = createManualTime();
    const cache = createAnswerCache<boolean>({
      clock,
      max: 10,
      yesMs: 60_000,
      noMs: 10_000,
      isYes: (it) => it,
    });
    expect(await cache.get('ann', async () => true)).toBe(true);
    clock.set(clock.now() - HOUR);
    expect(await cache.get('ann', async () => false)).toBe(false);
  });

  it('an address that guessed is not shut out for that', () => {
    const clock = createManualTime();
    const guesses = createGuesses(clock);
    for (let count = 0; count < 30; count += 1) guesses.note('a');
    expect(() => guesses.check('a')).toThrow();
    clock.set(clock.now() - HOUR);
    guesses.check('a');
  });
});
