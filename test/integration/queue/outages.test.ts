import { afterEach, describe, expect, it } from 'vitest';
import type { Queue } from '../../../src/queue/queue.ts';
import { eventually, job, notes } from '../../conformance/queue.ts';
import { freePort } from '../services/free-port.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { healthsOf, openQueue, shown } from './harness.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function start(port?: number): Promise<RedisServer> {
  const server = await startRedis(port === undefined ? {} : { port });
  stops.push(() => server.stop());
  return server;
}

async function open(url: string): Promise<Queue> {
  const queue = await openQueue(url);
  stops.push(() => queue.close(1_000));
  return queue;
}

/** With a clock that can be set so much beside the real one. */
async function openClocked() {
  const server = await start();
  let beside = 0;
  const clock = { now: () => Date.now() + beside };
  const queue = await openQueue(server.address, { clock });
  stops.push(() => queue.close(1_000));
  const goTo = (ms: number): void => {
    beside = ms;
  };
  return { server, queue, goTo };
}

const isUp = (queue: Queue) => (): boolean => queue.health().state === 'up';

async function msOf(work: Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work;
  return performance.now() - began;
}

/** A person's order on `a`, on its way to Redis when whoever gave it is told that it is refused. */
async function refuse(server: RedisServer, queue: Queue): Promise<void> {
  process.kill(server.pid, 'SIGSTOP');
  const refused = queue.add(job('a', 'manual', 'refused'));
  await expect(refused).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  process.kill(server.pid, 'SIGCONT');
}

describe('the queue on Redis', () => {
  it('is made without Redis, refuses at once, and works when Redis comes', async () => {
    const port = await freePort();
    const queue = await open(`redis://127.0.0.1:${port}`);
    const { seen, process } = notes();
    queue.start(process);
    expect(queue.health()).toMatchObject({ state: 'down', error: { code: 'QUEUE_UNAVAILABLE' } });
    expect(
      await msOf(expect(queue.add(job('a'))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })),
    ).toBeLessThan(500);
    await expect(queue.counts()).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    await eventually(() => shown(queue) === 'down: nothing answers at the address of Redis');
    await start(port);
    await eventually(isUp(queue));
    await queue.add(job('a'));
    await eventually(() => seen.length === 1);
  });

  it('goes on by itself after Redis died and came back empty', async () => {
    const server = await start();
    const queue = await open(server.address);
    const { process, subjects } = notes();
    queue.start(process);
    await eventually(isUp(queue));
    await queue.add(job('a'), { delayMs: 600_000 });
    const healths = healthsOf(queue);
    await server.kill();
    await eventually(() => queue.health().state === 'down');
    await expect(queue.add(job('b'))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    await start(server.port);
    await eventually(isUp(queue));
    expect(healths.at(0)).toBe('up');
    expect(healths.at(-1)).toBe('up');
    // What was lost is added again by whoever is told that it is up.
    await queue.add(job('a'));
    await queue.add(job('b'));
    await eventually(() => subjects().length === 2);
    await queue.idle();
    expect(await queue.counts()).toEqual({ waiting: 0, active: 0, delayed: 0 });
  });

  it('tells since when what it is given comes to a Redis that is as it is now', async () => {
    const server = await start();
    const queue = await open(server.address);
    const before = Date.now();
    await eventually(isUp(queue));
    const seen: (number | undefined)[] = [queue.health().asOf];
    queue.onHealth(({ state, asOf }) => void (state === 'up' && seen.push(asOf)));
    await server.command('FLUSHALL');
    const emptied = Date.now();
    await eventually(() => seen.length === 2);
    expect(seen[0]).toBeGreaterThanOrEqual(before);
    expect(seen[0]).toBeLessThanOrEqual(emptied);
    expect(seen[1]).toBeGreaterThanOrEqual(emptied);
    expect(seen[1]).toBeLessThanOrEqual(Date.now());
  });

  it('finishes during an outage what runs, and runs again what wanted to', async () => {
    const server = await start();
    const queue = await open(server.address);
    const release = Promise.withResolvers<void>();
    const { seen, process } = notes(async (_, run) => {
      if (run > 1) return undefined;
      await release.promise;
      return 10;
    });
    queue.start(process);
    await eventually(isUp(queue));
    await queue.add(job('a', 'event', 'one'));
    await eventually(() => seen.length === 1);
    await server.kill();
    await eventually(() => queue.health().state === 'down');
    release.resolve();
    await start(server.port);
    await eventually(() => seen.length === 2);
    expect(seen[1]).toEqual(job('a', 'event', 'one'));
  });

  it('tells of jobs lost although no connection broke', async () => {
    const server = await start();
    const queue = await open(server.address);
    const { process, subjects } = notes();
    queue.start(process);
    await eventually(isUp(queue));
    await queue.add(job('a'), { delayMs: 600_000 });
    const healths = healthsOf(queue);
    await server.command('FLUSHALL');
    await eventually(() => healths.length === 3);
    expect(healths).toEqual(['up', 'down: Redis lost its data', 'up']);
    await queue.add(job('a'));
    await eventually(() => subjects().length === 1);
  });

  it.each([
    ['', 60_000],
    [', although the clock was set back since', -3_600_000],
  ])('runs again what Redis has dropped out of its lists, once it is asked for%s', async (_, later) => {
    const { server, queue, goTo } = await openClocked();
    const { process, subjects } = notes();
    queue.start(process);
    await eventually(isUp(queue));
    await queue.add(job('a'), { delayMs: 600_000 });
    // As a Redis does that may evict, when its memory is full. The hash of the job is another key, and stays.
    expect(await server.command('DEL', '{secretbridge:test}:jobs:delayed')).toBe(':1\r\n');
    goTo(later);
    await queue.add(job('a'));
    await eventually(() => subjects().length === 1);
    await queue.add(job('a'));
    await eventually(() => subjects().length === 2);
    await queue.idle();
    expect(await queue.counts()).toEqual({ waiting: 0, active: 0, delayed: 0 });
  });

  it('runs what is asked for where Redis has dropped what a job was about, and not that it stands', {
    tags: ['long'],
  }, async () => {
    const { server, queue, goTo } = await openClocked();
    await eventually(isUp(queue));
    await queue.add(job('a'), { delayMs: 500 });
    const keys = '{secretbridge:test}:jobs';
    const [, id = ''] =
      /\r\n([-0-9a-f]{36})\r\n/.exec(await server.command('ZRANGE', `${keys}:delayed`, '0', '-1')) ?? [];
    expect(await server.command('DEL', `${keys}:${id}`)).toBe(':1\r\n');
    const { process, subjects } = notes();
    queue.start(process);
    await eventually(async () => (await server.command('ZCARD', `${keys}:delayed`)) === ':0\r\n');
    await eventually(async () => (await server.command('LLEN', `${keys}:active`)) === ':0\r\n');
    goTo(60_000);
    await queue.add(job('a'));
    await eventually(() => subjects().length === 1);
    expect(await queue.counts()).toMatchObject({ waiting: 0, delayed: 0 });
  });

  it('says that it is paused, as a program that shows queues may do it, and goes on when it is no more', {
    tags: ['long'],
  }, async () => {
    const server = await start();
    const queue = await open(server.address);
    const { process, subjects } = notes();
    queue.start(process);
    await eventually(isUp(queue));
    const meta = '{secretbridge:test}:jobs:meta';
    await server.command('HSET', meta, 'paused', '1');
    await queue.add(job('a'));
    await eventually(() => shown(queue).startsWith('down: the queue is paused'));
    expect(queue.health().error?.code).toBe('QUEUE_MISCONFIGURED');
    expect(subjects()).toEqual([]);
    await server.command('HDEL', meta, 'paused');
    await eventually(isUp(queue));
    await eventually(() => subjects().length === 1);
  });

  it('leaves alone what runs though Redis has dropped it out of its lists', { tags: ['long'] }, async () => {
    const { server, queue, goTo } = await openClocked();
    const release = Promise.withResolvers<undefined>();
    const { process, subjects } = notes((_, run) =>
      run === 1 ? release.promise : Promise.resolve(undefined),
    );
    queue.start(process);
    await eventually(isUp(queue));
    await queue.add(job('a'));
    await eventually(() => subjects().length === 1);
    await server.command('DEL', '{secretbridge:test}:jobs:active');
    goTo(60_000);
    await queue.add(job('a'));
    await queue.add(job('b'));
    await eventually(() => subjects().length === 2);
    expect(subjects()).toEqual(['a', 'b']);
    release.resolve(undefined);
    await eventually(async () => {
      await queue.add(job('a'));
      // It asks with each look, and several may have run between two of them.
      return subjects().length >= 3;
    });
  });

  it('loses no run to FLUSHALL that is not told of', async () => {
    const server = await start();
    const queue = await open(server.address);
    const release = Promise.withResolvers<undefined>();
    const { seen, process } = notes(() => release.promise);
    queue.start(process);
    await eventually(isUp(queue));
    await queue.add(job('a'));
    await eventually(() => seen.length === 1);
    await server.command('FLUSHALL');
    release.resolve(undefined);
    await queue.add(job('b'));
    await eventually(() => seen.length === 2);
    await queue.add(job('a'));
    await eventually(() => seen.length === 3);
  });

  it('notices a frozen Redis, hangs on nothing, and goes on when it thaws', async () => {
    const server = await start();
    const queue = await open(server.address);
    const { process: work, subjects } = notes();
    queue.start(work);
    await eventually(isUp(queue));
    process.kill(server.pid, 'SIGSTOP');
    expect(
      await msOf(expect(queue.add(job('a'))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })),
    ).toBeLessThan(3_000);
    await eventually(() => shown(queue) === 'down: Redis does not answer in time', 20_000);
    expect(
      await msOf(expect(queue.add(job('b'))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })),
    ).toBeLessThan(3_000);
    process.kill(server.pid, 'SIGCONT');
    await eventually(isUp(queue));
    await queue.add(job('c'));
    await eventually(() => subjects().includes('c'));
  });

  it('carries out later, for another one who asks, no order that it has refused', {
    tags: ['long'],
  }, async () => {
    const server = await start();
    const queue = await open(server.address);
    await eventually(isUp(queue));
    await refuse(server, queue);
    // It was on its way to Redis, and stands there for as long as an add may take.
    const wish = ['EXISTS', '{secretbridge:test}:asked:a'];
    await eventually(async () => (await server.command(...wish)) === ':0\r\n');
    await eventually(isUp(queue));
    await queue.add(job('a', 'sweep', 'later'));
    const { seen, process: work } = notes();
    queue.start(work);
    await eventually(() => seen.length === 1);
    expect(seen).toEqual([job('a', 'sweep', 'later')]);
  });

  it.each([
    ['long after', 16_000],
    ['just then', 3_000],
  ])(
    'carries out no order that it has refused when what waits for its time is due %s',
    { tags: ['long'] },
    async (_, delayMs) => {
      const server = await start();
      const queue = await open(server.address);
      await eventually(isUp(queue));
      await queue.add(job('a', 'drift', 'waits'), { delayMs });
      await refuse(server, queue);
      const { seen, process: work } = notes();
      queue.start(work);
      await eventually(() => seen.length === 1, 30_000);
      expect(seen).toEqual([job('a', 'drift', 'waits')]);
    },
  );

  it.each(['down', 'frozen'])('closes in its time with Redis %s and work under way', async (how) => {
    const server = await start();
    const queue = await open(server.address);
    const { seen, process: work } = notes(() => new Promise(() => {}));
    queue.start(work);
    await eventually(isUp(queue));
    await queue.add(job('a'));
    await eventually(() => seen.length === 1);
    if (how === 'down') await server.kill();
    else process.kill(server.pid, 'SIGSTOP');
    expect(await msOf(queue.close(1_000))).toBeLessThan(3_000);
  });

  it.each(['down', 'frozen'])('closes at once with Redis %s and nothing to do', async (how) => {
    const server = await start();
    const queue = await open(server.address);
    queue.start(async () => undefined);
    await eventually(isUp(queue));
    if (how === 'down') await server.kill();
    else process.kill(server.pid, 'SIGSTOP');
    expect(await msOf(queue.close(60_000))).toBeLessThan(3_000);
  });

  it('shares notices again after an outage', async () => {
    const server = await start();
    const [one, other] = [await open(server.address), await open(server.address)];
    await eventually(() => isUp(one)() && isUp(other)());
    const told: string[] = [];
    other.broadcast.subscribe((field, text) => void told.push(`${field}=${text}`));
    one.broadcast.publish('a', '1');
    await eventually(() => told.length === 1);
    await server.kill();
    await eventually(() => one.health().state === 'down');
    one.broadcast.publish('a', '2');
    one.broadcast.publish('a', '3');
    await start(server.port);
    await eventually(() => told.length === 2);
    expect(told).toEqual(['a=1', 'a=3']);
  });
});
