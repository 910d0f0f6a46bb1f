import { afterEach, describe, expect, it } from 'vitest';
import type { Queue } from '../../../src/queue/queue.ts';
import { eventually, job, recordingProcess } from '../../conformance/queue.ts';
import { freePort } from '../services/free-port.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { healthText, openQueue, recordHealth } from './harness.ts';

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

/** Opens a queue with a clock that the test can shift. */
async function openWithClock() {
  const server = await start();
  let offsetMs = 0;
  const clock = { now: () => Date.now() + offsetMs };
  const queue = await openQueue(server.address, { clock });
  stops.push(() => queue.close(1_000));
  const setOffset = (ms: number): void => {
    offsetMs = ms;
  };
  return { server, queue, goTo: setOffset };
}

const isUp = (queue: Queue) => (): boolean => queue.health().state === 'up';

async function msOf(work: Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work;
  return performance.now() - startMs;
}

/** Adds a manual job while Redis is stopped. The queue rejects the add, but Redis may still receive it later. */
async function addDuringOutage(server: RedisServer, queue: Queue): Promise<void> {
  process.kill(server.pid, 'SIGSTOP');
  const added = queue.add([job('a', 'manual', 'refused')]);
  await expect(added).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  process.kill(server.pid, 'SIGCONT');
}

describe('the queue on Redis', () => {
  it('opens without Redis, rejects jobs, and works when Redis becomes available', async () => {
    const port = await freePort();
    const queue = await open(`redis://127.0.0.1:${port}`);
    const { seen, process } = recordingProcess();
    queue.start(process);
    expect(queue.health()).toMatchObject({ state: 'down', error: { code: 'QUEUE_UNAVAILABLE' } });
    expect(
      await msOf(expect(queue.add([job('a')])).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })),
    ).toBeLessThan(500);
    await expect(queue.counts()).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    await eventually(() => healthText(queue) === 'down: no server answers at the address of Redis');
    await start(port);
    await eventually(isUp(queue));
    await queue.add([job('a')]);
    await eventually(() => seen.length === 1);
  });

  it('works again after Redis died and restarted without data', async () => {
    const server = await start();
    const queue = await open(server.address);
    const { process, subjects } = recordingProcess();
    queue.start(process);
    await eventually(isUp(queue));
    await queue.add([job('a')], { delayMs: 600_000 });
    const healths = recordHealth(queue);
    await server.kill();
    await eventually(() => queue.health().state === 'down');
    await expect(queue.add([job('b')])).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    await start(server.port);
    await eventually(isUp(queue));
    expect(healths.at(0)).toBe('up');
    expect(healths.at(-1)).toBe('up');
    // When the queue reports that it is up, callers must add lost jobs again.
    await queue.add([job('a')]);
    await queue.add([job('b')]);
    await eventually(() => subjects().length === 2);
    await queue.idle();
    expect(await queue.counts()).toEqual({ waiting: 0, active: 0, delayed: 0 });
  });

  it('reports the time since which Redis has kept its data without a loss', async () => {
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

  it('reports lost jobs after FLUSHALL on an open connection', async () => {
    const server = await start();
    const queue = await open(server.address);
    const { process, subjects } = recordingProcess();
    queue.start(process);
    await eventually(isUp(queue));
    await queue.add([job('a')], { delayMs: 600_000 });
    const healths = recordHealth(queue);
    await server.command('FLUSHALL');
    await eventually(() => healths.length === 3);
    expect(healths).toEqual(['up', 'down: Redis lost its data', 'up']);
    await queue.add([job('a')]);
    await eventually(() => subjects().length === 1);
  });

  it.each([
    ['', 60_000],
    [' after the clock was set back', -3_600_000],
  ])(
    'runs a job that was added a second time%s, even if Redis has dropped the job from its lists',
    async (_, offset) => {
      const { server, queue, goTo: setOffset } = await openWithClock();
      const { process, subjects } = recordingProcess();
      queue.start(process);
      await eventually(isUp(queue));
      await queue.add([job('a')], { delayMs: 600_000 });
      // Simulates an eviction. The job's hash is stored under another key and remains.
      expect(await server.command('DEL', '{secretbridge:test}:jobs:delayed')).toBe(':1\r\n');
      setOffset(offset);
      await queue.add([job('a')]);
      await eventually(() => subjects().length === 1);
      await queue.add([job('a')]);
      await eventually(() => subjects().length === 2);
      await queue.idle();
      expect(await queue.counts()).toEqual({ waiting: 0, active: 0, delayed: 0 });
    },
  );

  it("runs a job again after Redis dropped the job's data but kept its list entry", {
    tags: ['long'],
  }, async () => {
    const { server, queue, goTo: setOffset } = await openWithClock();
    await eventually(isUp(queue));
    await queue.add([job('a')], { delayMs: 500 });
    const keys = '{secretbridge:test}:jobs';
    const [, id = ''] =
      /\r\n([-0-9a-f]{36})\r\n/.exec(await server.command('ZRANGE', `${keys}:delayed`, '0', '-1')) ?? [];
    expect(await server.command('DEL', `${keys}:${id}`)).toBe(':1\r\n');
    const { process, subjects } = recordingProcess();
    queue.start(process);
    await eventually(async () => (await server.command('ZCARD', `${keys}:delayed`)) === ':0\r\n');
    await eventually(async () => (await server.command('LLEN', `${keys}:active`)) === ':0\r\n');
    setOffset(60_000);
    await queue.add([job('a')]);
    await eventually(() => subjects().length === 1);
    expect(await queue.counts()).toMatchObject({ waiting: 0, delayed: 0 });
  });

  it('reports that another program paused the queue, and continues after a resume', {
    tags: ['long'],
  }, async () => {
    const server = await start();
    const queue = await open(server.address);
    const { process, subjects } = recordingProcess();
    queue.start(process);
    await eventually(isUp(queue));
    const meta = '{secretbridge:test}:jobs:meta';
    await server.command('HSET', meta, 'paused', '1');
    await queue.add([job('a')]);
    await eventually(() => healthText(queue).startsWith('down: the queue is paused'));
    expect(queue.health().error?.code).toBe('QUEUE_MISCONFIGURED');
    expect(subjects()).toEqual([]);
    await server.command('HDEL', meta, 'paused');
    await eventually(isUp(queue));
    await eventually(() => subjects().length === 1);
  });

  it('does not start a running job a second time if Redis has dropped the job from its lists', {
    tags: ['long'],
  }, async () => {
    const { server, queue, goTo: setOffset } = await openWithClock();
    const release = Promise.withResolvers<undefined>();
    const { process, subjects } = recordingProcess((_, run) =>
      run === 1 ? release.promise : Promise.resolve(undefined),
    );
    queue.start(process);
    await eventually(isUp(queue));
    await queue.add([job('a')]);
    await eventually(() => subjects().length === 1);
    await server.command('DEL', '{secretbridge:test}:jobs:active');
    setOffset(60_000);
    await queue.add([job('a')]);
    await queue.add([job('b')]);
    await eventually(() => subjects().length === 2);
    expect(subjects()).toEqual(['a', 'b']);
    release.resolve(undefined);
    await eventually(async () => {
      await queue.add([job('a')]);
      // Each poll adds the job. Several runs may happen between two polls.
      return subjects().length >= 3;
    });
  });

  it('loses no run if the queue does not notice a FLUSHALL', async () => {
    const server = await start();
    const queue = await open(server.address);
    const release = Promise.withResolvers<undefined>();
    const { seen, process } = recordingProcess(() => release.promise);
    queue.start(process);
    await eventually(isUp(queue));
    await queue.add([job('a')]);
    await eventually(() => seen.length === 1);
    await server.command('FLUSHALL');
    release.resolve(undefined);
    await queue.add([job('b')]);
    await eventually(() => seen.length === 2);
    await queue.add([job('a')]);
    await eventually(() => seen.length === 3);
  });

  it('detects a frozen Redis, does not block callers, and continues when Redis responds again', async () => {
    const server = await start();
    const queue = await open(server.address);
    const { process: work, subjects } = recordingProcess();
    queue.start(work);
    await eventually(isUp(queue));
    process.kill(server.pid, 'SIGSTOP');
    expect(
      await msOf(expect(queue.add([job('a')])).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })),
    ).toBeLessThan(3_000);
    await eventually(() => healthText(queue) === 'down: Redis does not answer in time', 20_000);
    expect(
      await msOf(expect(queue.add([job('b')])).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })),
    ).toBeLessThan(3_000);
    process.kill(server.pid, 'SIGCONT');
    await eventually(isUp(queue));
    await queue.add([job('c')]);
    await eventually(() => subjects().includes('c'));
  });

  it('runs only the new job if a target is added again after its first job was rejected', {
    tags: ['long'],
  }, async () => {
    const server = await start();
    const queue = await open(server.address);
    await eventually(isUp(queue));
    await addDuringOutage(server, queue);
    await eventually(isUp(queue));
    await queue.add([job('a', 'sweep', 'later')]);
    const { seen, process: work } = recordingProcess();
    queue.start(work);
    await eventually(() => seen.length === 1);
    expect(seen).toEqual([job('a', 'sweep', 'later')]);
  });

  const CLOSES_IN_TIME = 'closes within its timeout when Redis is %s and a job is running';
  async function closesInTime(how: string): Promise<void> {
    const server = await start();
    const queue = await open(server.address);
    const { seen, process: work } = recordingProcess(() => new Promise(() => {}));
    queue.start(work);
    await eventually(isUp(queue));
    await queue.add([job('a')]);
    await eventually(() => seen.length === 1);
    if (how === 'down') await server.kill();
    else process.kill(server.pid, 'SIGSTOP');
    expect(await msOf(queue.close(1_000))).toBeLessThan(3_000);
  }
  it.each(['frozen'])(CLOSES_IN_TIME, closesInTime);
  it.each(['down'])(CLOSES_IN_TIME, { tags: ['long'] }, closesInTime);

  const CLOSES_AT_ONCE = 'closes immediately if Redis is %s and no job is running';
  async function closesAtOnce(how: string): Promise<void> {
    const server = await start();
    const queue = await open(server.address);
    queue.start(async () => undefined);
    await eventually(isUp(queue));
    if (how === 'down') await server.kill();
    else process.kill(server.pid, 'SIGSTOP');
    expect(await msOf(queue.close(60_000))).toBeLessThan(3_000);
  }
  it.each(['frozen'])(CLOSES_AT_ONCE, closesAtOnce);
  it.each(['down'])(CLOSES_AT_ONCE, { tags: ['long'] }, closesAtOnce);

  it('delivers broadcasts again after an outage', async () => {
    const server = await start();
    const [one, other] = [await open(server.address), await open(server.address)];
    await eventually(() => isUp(one)() && isUp(other)());
    const messages: string[] = [];
    other.broadcast.subscribe((field, text) => void messages.push(`${field}=${text}`));
    one.broadcast.send('a', '1');
    await eventually(() => messages.length === 1);
    await server.kill();
    await eventually(() => one.health().state === 'down');
    one.broadcast.send('a', '2');
    one.broadcast.send('a', '3');
    await start(server.port);
    await eventually(() => messages.length === 2);
    expect(messages).toEqual(['a=1', 'a=3']);
  });
});
