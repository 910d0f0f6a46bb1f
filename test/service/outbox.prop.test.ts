import fc from 'fast-check';
import { expect, it } from 'vitest';
import { REASONS } from '../../src/queue/queue.ts';
import { createOutbox } from '../../src/service/outbox.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { asQueue, createClock, createFakeQueue, queueAway, settled } from './sample.ts';

const target = (index: number) => ({ namespace: 'apps', secret: `s${index}` });
const step = fc.oneof(
  fc.record({ kind: fc.constant('trigger' as const), on: fc.nat(2), reason: fc.constantFrom(...REASONS) }),
  fc.record({ kind: fc.constant('request' as const), on: fc.nat(2) }),
  // A worker that takes one job and ends it after a moment.
  fc.record({ kind: fc.constant('run' as const), ms: fc.nat(5) }),
  fc.record({ kind: fc.constant('away' as const) }),
  fc.record({ kind: fc.constant('back' as const) }),
  fc.record({ kind: fc.constant('lost' as const) }),
  fc.record({ kind: fc.constant('repeat' as const) }),
);

it('keeps each request until a run that started after the request has ended, even if the queue loses jobs', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), async (steps, isSeen) => {
      const clock = createClock();
      const queue = createFakeQueue();
      const outbox = createOutbox(asQueue(queue), { clock, logger: silentLogger });
      const askedAt = new Map<string, number>();
      const ranAt = new Map<string, number>();
      const run = (ms: number): void => {
        const job = queue.jobs.shift()?.job;
        if (job === undefined) return;
        const name = job.subject.replace('target/apps/', '');
        const startedAt = clock.time;
        clock.time += ms;
        ranAt.set(name, startedAt);
        outbox.done({ namespace: 'apps', secret: name }, startedAt);
      };
      for (const action of steps) {
        clock.time += 1;
        if (action.kind === 'trigger') {
          askedAt.set(`s${action.on}`, clock.time);
          outbox.trigger(target(action.on), action.reason, `r${clock.time}`);
        } else if (action.kind === 'request') {
          // A caller that receives an error must ask again. Until then, no run is guaranteed.
          const request = outbox.request(target(action.on), 'manual', `r${clock.time}`);
          const taken = await request.then(
            () => true,
            () => false,
          );
          if (taken) askedAt.set(`s${action.on}`, clock.time);
        } else if (action.kind === 'run') run(action.ms);
        else if (action.kind === 'away') queue.failure = queueAway();
        else if (action.kind === 'back') queue.failure = undefined;
        else if (action.kind === 'lost') queue.jobs.length = 0;
        else outbox.resend(0);
        await settled();
      }
      // In the end the queue works, and every request has had its run.
      queue.failure = undefined;
      queue.jobs.length = 0;
      const lostAt = clock.time;
      clock.time += 60_000;
      if (isSeen) outbox.resendUntil(lostAt);
      else outbox.resend(60_000);
      await settled();
      while (queue.jobs.length > 0) run(1);
      for (const [name, at] of askedAt) expect(ranAt.get(name) ?? 0).toBeGreaterThanOrEqual(at);
      expect(outbox.size).toBe(0);
    }),
    { numRuns: 60 },
  );
});
