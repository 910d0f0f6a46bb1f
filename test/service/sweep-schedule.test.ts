import { describe, expect, it } from 'vitest';
import { formatSubject } from '../../src/queue/subject.ts';
import { type ConfigSnapshot, createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { SweepSchedule } from '../../src/service/sweep/sweep-schedule.ts';
import { recordingLogger } from '../reconcile/world.ts';
import { source } from '../sync/sample.ts';
import { asQueue, createClock, createFakeQueue, queueAway, START, settled, wanted } from './sample.ts';

const REFRESH_MS = 300_000;

function generationOf(keys: number, refreshMs = REFRESH_MS): ConfigSnapshot {
  const all = Array.from({ length: keys }, (_, index) =>
    wanted({ name: `m${index}`, refreshMs, data: { A: source({ key: `k${index}` }) } }),
  );
  return createConfigSnapshot([], all, () => false);
}

function open(keys = 200, refreshMs = REFRESH_MS) {
  const clock = createClock();
  const queue = createFakeQueue();
  const logger = recordingLogger();
  const state = { snapshot: generationOf(keys, refreshMs) };
  const start = () =>
    new SweepSchedule({ queue: asQueue(queue), snapshot: () => state.snapshot, clock, logger });
  let schedule = start();
  const run = (ms: number, everyMs = 1_000) => {
    for (const end = clock.time + ms; clock.time < end; ) {
      clock.time += everyMs;
      schedule.tick();
    }
  };
  const restart = () => {
    schedule = start();
    schedule.tick();
  };
  const subjects = () => queue.jobs.splice(0).map(({ job }) => job.subject);
  return {
    clock,
    queue,
    logger,
    state,
    run,
    restart,
    subjects,
    get schedule() {
      return schedule;
    },
  };
}

describe('sweep schedule', () => {
  it('the sweep schedule queues each shard once per interval', () => {
    const { state, restart, run, subjects } = open();
    restart();
    run(REFRESH_MS * 1.1);
    subjects();
    run(REFRESH_MS * 10);
    const counts = Map.groupBy(subjects(), (subject) => subject);
    expect([...counts.keys()].sort()).toEqual([...state.snapshot.shards.keys()].sort());
    for (const times of counts.values()) expect(times.length).toBeOneOf([9, 10, 11]);
  });

  it('the sweep schedule queues no additional round after a restart', () => {
    const { restart, subjects } = open();
    for (let restarts = 0; restarts < 5; restarts += 1) restart();
    expect(subjects()).toEqual([]);
  });

  it('the sweep schedule queues no round twice across restarts, because each round has a fixed id', () => {
    const { queue, restart, run } = open(50, 60_000);
    restart();
    for (let minute = 0; minute < 10; minute += 1) {
      run(60_000);
      restart();
    }
    const names = queue.jobs.map(({ job, options }) => `${job.subject} ${options.once?.id}`);
    expect(new Set(names).size).toBe(names.length);
    expect(queue.jobs.every(({ options }) => options.once?.ttlMs === 60_000)).toBe(true);
  });

  it('the sweep schedule uses the same name and round for a shard in each replica', () => {
    const [one, two] = [open(), open()];
    for (const replica of [one, two]) {
      replica.restart();
      replica.run(REFRESH_MS);
    }
    const named = (replica: typeof one) =>
      replica.queue.jobs.map(({ job, options }) => `${job.subject} ${options.once?.id}`);
    expect(named(two)).toEqual(named(one));
  });

  it('the sweep schedule continues to queue rounds when the clock is set back', () => {
    const { clock, restart, run, subjects } = open();
    restart();
    run(REFRESH_MS);
    subjects();
    clock.time -= 3_600_000;
    run(REFRESH_MS * 1.1);
    expect(new Set(subjects()).size).toBe(open().state.snapshot.shards.size);
  });

  it('the sweep schedule spreads shards that became due while the clock jumped or the process was suspended', () => {
    const { clock, restart, run, subjects, schedule } = open(1_000);
    restart();
    clock.time += 7_200_000;
    schedule.tick();
    expect(subjects()).toEqual([]);
    run(REFRESH_MS * 1.1);
    expect(new Set(subjects()).size).toBe(64);
  });

  it('the sweep schedule queues a shard at almost every tick if the interval is shorter than the time between ticks', () => {
    const { restart, run, subjects } = open(1, 1_000);
    restart();
    run(60_000, 3_000);
    expect(subjects().length).toBeGreaterThan(15);
  });

  it('the sweep schedule continues to queue shards after a queue outage, and logs nothing', async () => {
    const { queue, restart, run, subjects, logger } = open();
    restart();
    queue.failure = queueAway();
    run(REFRESH_MS);
    await settled();
    expect(logger.lines).toEqual([]);
    queue.failure = undefined;
    run(REFRESH_MS * 1.1);
    expect(subjects().length).toBeGreaterThanOrEqual(open().state.snapshot.shards.size);
  });

  it('the sweep schedule queues the shards of a new configuration without a burst', () => {
    const { state, restart, run, subjects } = open(200);
    restart();
    run(10_000);
    subjects();
    state.snapshot = generationOf(2_000);
    run(5_000);
    expect(subjects().length).toBeLessThan(8);
    run(REFRESH_MS * 1.1);
    expect(new Set(subjects())).toEqual(new Set(state.snapshot.shards.keys()));
  });

  it('the sweep schedule queues the shards of a recovered store immediately', () => {
    const { clock, state, schedule, queue } = open(10);
    clock.time = START;
    const names = [...state.snapshot.shards.values()].map(({ sweep }) => formatSubject(sweep));
    schedule.queueNow(names);
    expect(queue.jobs.map(({ job, options }) => [job.subject, job.reason, options])).toEqual(
      names.map((name) => [name, 'sweep', {}]),
    );
  });

  it('the sweep schedule queues lost rounds again under the same names, except rounds that have run', () => {
    const bench = open(50, 60_000);
    const { clock, queue, run } = bench;
    bench.restart();
    const { schedule } = bench;
    const named = () => queue.jobs.splice(0).map(({ job, options }) => `${job.subject} ${options.once?.id}`);
    schedule.requeueLost(() => undefined);
    expect(named()).toEqual([]);
    run(60_000);
    run(30_000);
    const lost = named();
    const shards = [...new Set(lost.map((name) => name.replace(/ .*/, '')))];
    schedule.requeueLost(() => undefined);
    const again = named();
    expect(again).toHaveLength(shards.length);
    expect(lost).toEqual(expect.arrayContaining(again));
    // One shard was swept in an earlier round, and the other shard in this round.
    const [late] = shards;
    schedule.requeueLost((shard) => (shard === late ? clock.time - 120_000 : clock.time));
    expect(named().map((name) => name.replace(/ .*/, ''))).toEqual([late]);
  });

  it('if a sweep becomes due during a Redis outage of 5 s, the sweep schedule queues the sweep soon after Redis recovers', async () => {
    const DAY = 86_400_000;
    const clock = createClock();
    const queue = createFakeQueue();
    const snapshot = createConfigSnapshot(
      [],
      [wanted({ refreshMs: DAY, data: { A: source({ key: 'k' }) } })],
      () => false,
    );
    const schedule = new SweepSchedule({
      queue: asQueue(queue),
      snapshot: () => snapshot,
      clock,
      logger: recordingLogger(),
    });
    schedule.tick();
    queue.failure = queueAway();
    // Redis is down until 5 s after the shard became due.
    for (let s = 0; queue.attempts === 0 && s < 2 * 86_400; s++) {
      clock.time += 1_000;
      schedule.tick();
    }
    expect(queue.attempts).toBe(1);
    clock.time += 5_000;
    schedule.tick();
    await settled();
    queue.failure = undefined;
    const backAt = clock.time;
    for (let s = 0; queue.jobs.length === 0 && s < 2 * 86_400; s++) {
      clock.time += 1_000;
      schedule.tick();
      await (s % 600 === 0 ? settled() : undefined);
    }
    expect((clock.time - backAt) / 1000).toBeLessThan(60);
  });
});
