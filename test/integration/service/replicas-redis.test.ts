import { describe, expect, it } from 'vitest';
import { openIntents } from '../e2e/bench.ts';
import { watchSecrets } from '../e2e/witness.ts';
import { freePort } from '../services/free-port.ts';
import { kubernetes } from '../services/inject.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { expectSynced, expectValues, manyMappings, seed } from './many-mappings.ts';
import { type ServiceProcess, within } from './service-process.ts';
import { openWorld, type World, type WorldOptions } from './world.ts';

const open = (redisUrl: string, options: Partial<WorldOptions> = {}): Promise<World> =>
  openWorld({ config: manyMappings(1), scope: 'namespace', redisUrl, postgres: true, ...options });

/** Adds mappings. Calls `interrupt` when the number of Secrets reaches `middle`. */
async function interruptSync(world: World, count: number, middle: number, interrupt: () => Promise<void>) {
  await using witness = await watchSecrets(kubernetes(), world.ns('apps'));
  const reached = Promise.withResolvers<void>();
  witness.onChange = () => {
    if (witness.received.length >= middle) reached.resolve();
  };
  await world.configure({ config: manyMappings(count) });
  await reached.promise;
  await interrupt();
  return witness.received.length;
}

const engineOf = async (served: ServiceProcess) => (await served.status()).engine;
const expectQueueDown = async (served: ServiceProcess): Promise<void> => {
  expect(await engineOf(served)).toEqual({ kind: 'redis', state: 'down', code: 'QUEUE_UNAVAILABLE' });
  expect(await served.metric('secretbridge_engine_up')).toBe(0);
  expect(served.logged()).toContainEqual(
    expect.objectContaining({ message: 'queue is not available', code: 'QUEUE_UNAVAILABLE' }),
  );
};
const expectQueueUp = async (served: ServiceProcess): Promise<void> => {
  expect(await engineOf(served)).toEqual({ kind: 'redis', state: 'up' });
  expect(await served.metric('secretbridge_engine_up')).toBe(1);
};

/** Expects that each Secret was written exactly once, and that each intent has its outcome. */
async function expectComplete(world: World, count: number): Promise<void> {
  await within(5_000, async () => expect((await world.writes()).length).toBeGreaterThanOrEqual(count));
  const writes = await world.writes();
  expect(new Set(writes.filter((write) => write.startsWith('create'))).size).toBe(count);
  expect(writes).toHaveLength(count);
  expect(openIntents(await world.records()).length).toBe(0);
  expect(await world.chain()).toMatchObject({ kind: 'intact' });
}

describe('Redis', () => {
  it.each(['an empty restart'] as const)('no change is lost after %s during a sync', expectNoLoss);
  it.each(['FLUSHALL'] as const)(
    'no change is lost after %s during a sync',
    { tags: ['long'] },
    expectNoLoss,
  );

  async function expectNoLoss(how: 'FLUSHALL' | 'an empty restart'): Promise<void> {
    const count = 60;
    let server: RedisServer = await startRedis();
    await using stack = new AsyncDisposableStack();
    stack.defer(() => server.stop());
    const world = stack.use(await open(server.address));
    await seed(world, count, 'first');
    const [a, b] = await Promise.all([world.replica('a'), world.replica('b')]);
    for (const replica of [a, b]) stack.use(replica);
    await within(20_000, () => Promise.all([expectSynced(a, 1), expectSynced(b, 1)]).then(() => {}));

    const written = await interruptSync(world, count, 15, async () => {
      if (how === 'FLUSHALL') expect(await server.command('FLUSHALL')).toMatch(/^\+OK/);
      else await server.kill();
    });
    let detectedMs: number | undefined;
    if (how === 'an empty restart') {
      detectedMs = await within(10_000, () =>
        Promise.all([expectQueueDown(a), expectQueueDown(b)]).then(() => {}),
      );
      expect((await a.get('/readyz', '')).status).toBe(200);
      expect((await a.get('/livez', '')).status).toBe(200);
      expect((await world.cli('status', '--server', a.address)).code).toBe(1);
      server = await server.restart();
    }
    const elapsedMs = await within(90_000, () => expectValues(world, count, 'first'));
    const allSyncedMs = await within(30_000, () =>
      Promise.all([expectSynced(a, count), expectSynced(b, count), expectQueueUp(a), expectQueueUp(b)]).then(
        () => {},
      ),
    );
    console.log(
      `${how} with ${written} of ${count} written: ${detectedMs === undefined ? '' : `detected after ${detectedMs} ms, `}all present after ${elapsedMs} ms, all synced after ${elapsedMs + allSyncedMs} ms`,
    );
    await expectComplete(world, count);
    for (const replica of [a, b]) expect((await replica.stop()).code).toBe(0);
  }

  it('the service is degraded while Redis is down at the start, and syncs when Redis becomes available', {
    tags: ['long'],
  }, async () => {
    const port = await freePort();
    await using world = await open(`redis://127.0.0.1:${port}`, { config: manyMappings(20) });
    await seed(world, 20, 'first');
    const began = performance.now();
    await using served = await world.replica('a');
    const ready = Math.round(performance.now() - began);
    await within(10_000, () => expectQueueDown(served));
    expect((await served.get('/readyz', '')).status).toBe(200);
    expect((await served.get('/livez', '')).status).toBe(200);
    expect(await world.writes()).toEqual([]);
    const syncRun = await world.cli(
      'sync',
      '--server',
      served.address,
      '--mapping',
      'm1',
      '--output',
      'json',
    );
    expect(syncRun.code, syncRun.stdout).toBe(1);
    expect(syncRun.stdout + syncRun.stderr).toContain('QUEUE_UNAVAILABLE');
    await using _ = await startRedis({ port });
    const elapsedMs = await within(30_000, () => expectSynced(served, 20));
    console.log(
      `ready ${ready} ms after the start without Redis; all synced ${elapsedMs} ms after Redis started`,
    );
    await expectQueueUp(served);
    await expectComplete(world, 20);
  });

  it.each(['away', 'frozen'] as const)(
    'the service exits after SIGTERM without a delay when Redis is %s',
    { tags: ['long'] },
    async (how) => {
      await using server = await startRedis();
      await using world = await open(server.address);
      await seed(world, 1, 'first');
      await using served = await world.replica('a');
      await within(20_000, () => expectSynced(served, 1));
      if (how === 'away') await server.kill();
      else process.kill(server.pid, 'SIGSTOP');
      try {
        await within(15_000, async () => expect((await engineOf(served)).state).toBe('down'));
        served.kill('SIGTERM');
        let ended = false;
        void served.ended.then(() => (ended = true));
        const elapsedMs = await within(25_000, () => expect(ended, served.log()).toBe(true));
        console.log(`ended ${elapsedMs} ms after SIGTERM with Redis ${how}`);
      } finally {
        if (how === 'frozen') process.kill(server.pid, 'SIGCONT');
      }
      expect((await served.ended).code).toBe(0);
      expect(openIntents(await world.records()).length).toBe(0);
    },
  );

  it('the status and the log report an error code if Redis rejects the password, and neither contains that password', async () => {
    await using server = await startRedis({ args: ['--requirepass', 'the-right-one'] });
    const url = server.address.replace('redis://', 'redis://:a-wrong-one@');
    await using world = await open(url);
    await seed(world, 1, 'first');
    await using served = await world.replica('a');
    await within(10_000, async () =>
      expect(await engineOf(served)).toEqual({ kind: 'redis', state: 'down', code: 'QUEUE_MISCONFIGURED' }),
    );
    const line = served.logged().find(({ code }) => code === 'QUEUE_MISCONFIGURED');
    expect(line).toMatchObject({ level: 'error', kind: 'redis', state: 'down' });
    expect(await served.metric('secretbridge_engine_up')).toBe(0);
    expect(JSON.stringify(line)).toContain('engine.url');
    const status = await world.cli('status', '--server', served.address);
    // A target that still waits for its first run counts as a transient failure, so the exit code is 1.
    expect(status.code).toBe(1);
    expect(status.stdout).toContain('QUEUE_MISCONFIGURED');
    expect((await served.get('/readyz', '')).status).toBe(200);
    const { text } = await served.get('/api/v1/status');
    const { stdout, stderr } = await served.stop();
    for (const output of [text, stdout, stderr, status.stdout]) expect(output).not.toContain('a-wrong-one');
    // The log contains the error only once, and not once for each attempt and target.
    expect(served.logged().filter(({ code }) => code === 'QUEUE_MISCONFIGURED')).toHaveLength(1);
  });
});
