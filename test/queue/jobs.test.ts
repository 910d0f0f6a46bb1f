import { expect, it } from 'vitest';
import { parseJob } from '../../src/queue/jobs.ts';

it('a job is read even if only a newer release defines its reason', () => {
  const job = { subject: 'a', reason: 'unheard-of', requestId: 'r' };
  expect(parseJob(job)).toEqual({ ...job, reason: 'sweep' });
});

it.each([null, undefined, 1, {}, { subject: 'a' }, { subject: 'a', reason: 1, requestId: 'r' }])(
  'job data in an unknown format is ignored: %j',
  (data) => {
    expect(parseJob(data)).toBeUndefined();
  },
);
