import { describe, expect, it } from 'vitest';
import { createAttemptLimiter } from '../../src/http/access-control.ts';
import { createAnswerCache } from '../../src/http/answer-cache.ts';
import { createManualTime } from '../fakes/manual-time.ts';

const HOUR = 3_600_000;

describe('the HTTP server after its clock is set back by an hour', () => {
  it('the HTTP server expires cached responses even if its clock is set back by an hour', async () => {
    const clock = createManualTime();
    const cache = createAnswerCache<boolean>({
      clock,
      max: 10,
      positiveTtlMs: 60_000,
      negativeTtlMs: 10_000,
      isPositive: (answer) => answer,
    });
    expect(await cache.get('ann', async () => true)).toBe(true);
    clock.set(clock.now() - HOUR);
    expect(await cache.get('ann', async () => false)).toBe(false);
  });

  it('the HTTP server releases a blocked address even if its clock is set back by an hour', () => {
    const clock = createManualTime();
    const limiter = createAttemptLimiter(clock);
    for (let count = 0; count < 30; count += 1) limiter.recordFailure('a');
    expect(() => limiter.check('a')).toThrow();
    clock.set(clock.now() - HOUR);
    limiter.check('a');
  });
});
