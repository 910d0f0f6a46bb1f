import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createOutbox } from '../../src/service/outbox.ts';
import { recordingLogger } from '../reconcile/world.ts';
import { asQueue, createClock, createFakeQueue, queueAway, START, settled } from './sample.ts';

const target = (index: number) => ({ namespace: 'apps', secret: `s${index}` });
const APP = target(0);

function open() {
  const clock = createClock();
  const queue = createFakeQueue();
  const logger = recordingLogger();
  const outbox = createOutbox(asQueue(queue), { clock, logger });
  const taken = async () => {
    await settled();
    return queue.jobs
      .splice(0)
      .map(({ job }) => [
        job.reason,
        job.requestId.replace(/~\w+$/, '~'),
        job.subject.replace('target/apps/', ''),
      ])
      .map((words) => words.join(' '));
  };
  return { clock, queue, logger, outbox, taken };
}

describe('outbox', () => {
  it('returns the pending targets of a request in order', () => {
    const { outbox, clock } = open();
    for (const index of [2, 0, 1]) outbox.trigger(target(index), 'first', 'r1');
    outbox.trigger(target(3), 'first', 'r2');
    expect(outbox.targetsOf('r1')).toEqual([target(2), target(0), target(1)]);
    outbox.trigger(target(0), 'event', 'r2');
    outbox.done(target(2), clock.time);
    expect(outbox.targetsOf('r1')).toEqual([target(1)]);
  });

  it('returns the same targets for a repeated request', () => {
    const { outbox } = open();
    outbox.trigger(APP, 'first', 'r1');
    outbox.trigger(target(1), 'first', 'r2');
    outbox.resend(0);
    expect(outbox.targetsOf('r1~a1b2c3')).toEqual([APP]);
    expect(outbox.targetsOf('r1~1')).toEqual([APP]);
  });

  it('queues a target once, and not again after its run', async () => {
    const { outbox, taken, clock } = open();
    outbox.trigger(APP, 'drift', 'r1');
    expect(await taken()).toEqual(['drift r1 s0']);
    clock.time += 100;
    outbox.done(APP, clock.time);
    outbox.resend(0);
    expect(await taken()).toEqual([]);
    expect(outbox.size).toBe(0);
  });

  it('keeps a request after a run of another request, because that run may have used older reads', () => {
    const { outbox, clock } = open();
    const run = (by: string) => outbox.done(APP, clock.time, by);
    outbox.trigger(APP, 'event', 'r2');
    clock.time += 10_000;
    run('r1');
    expect(outbox.size).toBe(1);
    run('r2~a1b2c3');
    expect(outbox.size).toBe(0);
    outbox.trigger(APP, 'event', 'r3');
    clock.time += 15_000;
    run('r1');
    expect(outbox.size).toBe(0);
  });

  it('sends a request again if it is newer than the run', async () => {
    const { outbox, taken, clock } = open();
    clock.time += 100;
    outbox.trigger(APP, 'event', 'r1');
    outbox.done(APP, START);
    await taken();
    outbox.resend(0);
    expect(await taken()).toEqual(['event r1~ s0']);
  });

  it('sends a request again only once it has reached a minimum age', async () => {
    const { outbox, taken, clock } = open();
    outbox.trigger(target(1), 'event', 'r1');
    clock.time += 50_000;
    outbox.trigger(target(2), 'event', 'r1');
    clock.time += 20_000;
    await taken();
    outbox.resend(60_000);
    expect(await taken()).toEqual(['event r1~ s1']);
    outbox.resend(60_000);
    expect(await taken()).toEqual([]);
  });

  it('queues each request with its own reason, and repeats the most urgent one', async () => {
    const { outbox, taken } = open();
    outbox.trigger(APP, 'manual', 'person');
    outbox.trigger(APP, 'sweep', 'r2');
    expect(await taken()).toEqual(['manual person s0', 'sweep r2 s0']);
    outbox.resend(0);
    expect(await taken()).toEqual(['manual person~ s0']);
  });

  it('sends all requests again to a queue that has lost all jobs', async () => {
    const { outbox, taken, queue } = open();
    for (let index = 0; index < 2_000; index += 1) outbox.trigger(target(index), 'first', 'r1');
    await settled();
    queue.jobs.length = 0;
    outbox.resend(0);
    expect(new Set(await taken()).size).toBe(2_000);
  });

  it('does not repeat requests that were queued after a given time, unless the clock was set back', async () => {
    const { outbox, taken, clock } = open();
    outbox.trigger(target(1), 'first', 'r1');
    const seenAt = clock.time;
    clock.time += 1;
    outbox.trigger(target(2), 'first', 'r1');
    clock.time += 1;
    await taken();
    outbox.resendUntil(seenAt);
    expect(await taken()).toEqual(['first r1~ s1']);
    clock.time -= 60_000;
    outbox.resendUntil(clock.time);
    expect(await taken()).toEqual(['first r1~ s1', 'first r1~ s2']);
  });

  it('repeats requests of any age that the queue did not accept', async () => {
    const { outbox, taken, queue, logger } = open();
    queue.failure = queueAway();
    for (let index = 0; index < 2_000; index += 1) outbox.trigger(target(index), 'first', 'r1');
    await settled();
    queue.attempts = 0;
    outbox.resend(60_000);
    await settled();
    // The outbox stops after the first requests, because they show that the queue is down.
    expect(queue.attempts).toBe(500);
    queue.failure = undefined;
    outbox.resend(60_000);
    expect(new Set(await taken()).size).toBe(2_000);
    expect(logger.lines).toEqual([]);
  });

  it('logs an unexpected queue error', async () => {
    const { outbox, queue, logger } = open();
    queue.failure = new AppError('INTERNAL');
    outbox.trigger(APP, 'first', 'r1');
    await settled();
    expect(logger.lines.map(({ level }) => level)).toEqual(['error']);
  });

  it("reports an outage to the caller, and drops the caller's request", async () => {
    const { outbox, queue } = open();
    queue.failure = queueAway();
    await expect(outbox.request(APP, 'manual', 'r1')).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    expect(outbox.size).toBe(0);
  });

  it('keeps an earlier request when the request of a waiting caller fails', async () => {
    const { outbox, queue, taken } = open();
    queue.failure = queueAway();
    outbox.trigger(APP, 'drift', 'r1');
    await expect(outbox.request(APP, 'manual', 'r2')).rejects.toThrow();
    queue.failure = undefined;
    outbox.resend(60_000);
    expect(await taken()).toEqual(['drift r1~ s0']);
  });

  it('keeps a request that arrives while the request of a waiting caller fails', async () => {
    const { outbox, queue, taken } = open();
    queue.failure = queueAway();
    const waits = outbox.request(APP, 'manual', 'r1');
    outbox.trigger(APP, 'drift', 'r2');
    await expect(waits).rejects.toThrow();
    queue.failure = undefined;
    outbox.resend(60_000);
    expect(await taken()).toHaveLength(1);
  });

  it('returns the time of the last request, optionally without the requests of a given id', () => {
    const { outbox, clock } = open();
    expect(outbox.requestedAt(APP)).toBeUndefined();
    outbox.trigger(APP, 'sweep', 'r1');
    clock.time += 10;
    outbox.trigger(APP, 'sweep', 'r1');
    expect([outbox.requestedAt(APP), outbox.requestedAt(APP, 'r1'), outbox.requestedAt(APP, 'r2')]).toEqual([
      START + 10,
      undefined,
      START + 10,
    ]);
    clock.time += 10;
    outbox.trigger(APP, 'event', 'r2');
    clock.time += 10;
    outbox.trigger(APP, 'event', 'r2');
    expect([outbox.requestedAt(APP, 'r1'), outbox.requestedAt(APP, 'r2')]).toEqual([START + 30, START + 10]);
  });

  it('completes requests that were pending when the clock was set back', async () => {
    const clock = createClock();
    const queue = createFakeQueue();
    const outbox = createOutbox(asQueue(queue), { clock, logger: recordingLogger() });
    const target = { namespace: 'apps', secret: 'app' };
    outbox.trigger(target, 'event', 'r1');
    await settled();
    clock.time -= 3_600_000;
    let runs = 0;
    for (let minute = 0; minute < 30; minute++) {
      runs += queue.jobs.splice(0).length;
      outbox.done(target, clock.time); // Every run succeeds.
      clock.time += 61_000;
      outbox.resend(60_000);
      await settled();
    }
    expect(runs).toBeLessThan(3);
  });
});
