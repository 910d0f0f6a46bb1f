import { expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createLoginBackoff } from '../../src/providers/login-backoff.ts';
import { createManualTime } from '../fakes/manual-time.ts';

const REFUSED = new AppError('AUTH_FAILED');

/** Returns for each refusal the number of seconds until the next login is allowed. */
async function waits(error: AppError, rounds: number): Promise<number[]> {
  const time = createManualTime();
  const refusals = createLoginBackoff(time);
  const seconds: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    refusals.record(error);
    let waited = 0;
    for (; isRefused(refusals.check); waited += 1) await time.advance(1_000);
    seconds.push(waited);
  }
  return seconds;
}

function isRefused(check: () => void): boolean {
  try {
    check();
    return false;
  } catch (error) {
    if (error instanceof AppError) return true;
    throw error;
  }
}

it('waits ten seconds after the first refused login, and up to a minute after further refused logins', async () => {
  expect(await waits(REFUSED, 5)).toEqual([10, 20, 40, 60, 60]);
});

it('allows a login every ten seconds if the credential is missing', async () => {
  expect(await waits(new AppError('CREDENTIAL_MISSING'), 4)).toEqual([10, 10, 10, 10]);
});

it('counts refusals of concurrent logins as one', async () => {
  const time = createManualTime();
  const refusals = createLoginBackoff(time);
  for (let n = 0; n < 100; n += 1) refusals.record(REFUSED);
  await time.advance(10_000);
  expect(refusals.check).not.toThrow();
});

it('ends the wait after a refused login if the clock is set back', () => {
  const time = createManualTime();
  const refusals = createLoginBackoff(time);
  refusals.record(REFUSED);
  time.set(time.now() - 3_600_000);
  expect(refusals.check).not.toThrow();
});
