import { describe, expect, it } from 'vitest';
import { redis } from '../services/inject.ts';
import { expectSynced, expectValues, manyMappings, seed } from './many-mappings.ts';
import { type ServiceProcess, within } from './service-process.ts';
import { openWorld, type World } from './world.ts';

const COUNT = 3;

/** The maximum time until replicas detect each other. */
const DISCOVERY_MS = 30_000;

async function open(): Promise<World> {
  const config = manyMappings(COUNT, 'defaults: { refresh: 2s }');
  const world = await openWorld({ config, scope: 'namespace', redisUrl: redis().url });
  await seed(world, COUNT, 'first');
  return world;
}

/** Expects that the service still runs after the time within which it would detect another replica. */
async function expectRunning(world: World, served: ServiceProcess, value: string): Promise<void> {
  let ended = false;
  void served.ended.then(() => (ended = true));
  const began = performance.now();
  await within(DISCOVERY_MS + 5_000, () => {
    if (!ended) expect(performance.now() - began).toBeGreaterThan(DISCOVERY_MS);
  });
  expect(ended, served.log()).toBe(false);
  await seed(world, COUNT, value);
  await within(15_000, () => expectValues(world, COUNT, value));
}

describe('a SQLite audit with Redis', () => {
  it('allows only one replica: the second replica exits with an explanation, and the first replica continues', async () => {
    await using world = await open();
    await using first = await world.replica('a');
    await within(20_000, () => expectSynced(first, COUNT));
    const began = performance.now();
    await using second = await world.replica('b');
    const { code, stderr } = await second.ended;
    console.log(`the second replica ended after ${Math.round(performance.now() - began)} ms`);
    expect(code).toBe(3);
    expect(stderr).toContain('audit.store');
    expect(stderr).toContain('postgres');
    expect(performance.now() - began).toBeLessThan(DISCOVERY_MS);
    await seed(world, COUNT, 'second');
    await within(15_000, () => expectValues(world, COUNT, 'second'));
    expect((await first.stop()).code).toBe(0);
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'accepts a service that starts right after the previous service ended by %s',
    async (signal) => {
      await using world = await open();
      {
        await using before = await world.replica('a');
        await within(20_000, () => expectSynced(before, COUNT));
        before.kill(signal);
        await before.ended;
      }
      await using served = await world.replica('a');
      await expectRunning(world, served, 'second');
      expect((await served.stop()).code).toBe(0);
    },
  );

  it('accepts a service that reopens its audit with another configuration', async () => {
    await using world = await open();
    await using served = await world.replica('a');
    await within(20_000, () => expectSynced(served, COUNT));
    await world.configure({
      config: manyMappings(COUNT, 'defaults: { refresh: 2s }\nbrake: { share: 0.5 }'),
    });
    await within(15_000, () =>
      expect(served.logged()).toContainEqual(
        expect.objectContaining({ message: 'the service restarts with a new configuration' }),
      ),
    );
    await expectRunning(world, served, 'second');
    expect((await served.stop()).code).toBe(0);
  });
});
