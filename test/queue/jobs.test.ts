import { expect, it } from 'vitest';
import { parseJob } from '../../src/queue/jobs.ts';

it('reads a job with a reason that only a newer release defines', () => {
  const job = { subject: 'a', reason: 'unheard-of', requestId: 'r' };
  expect(parseJob(job)).toEqual({ ...job, reason: 'sweep' });
});

it.each([null, undefined, 1, {}, { subject: 'a' }, { subject: 'a', reason: 1, requestId: 'r' }])(
  'ignores job data in an unknown format: %j',
  (data) => {
    expect(parseJob(data)).toBeUndefined();
  },
);
