import { describe, expect, it } from 'vitest';
import { redis } from '../services/inject.ts';
import { allHold, allSynced, manyMappings, seed } from './many.ts';
import { type Served, within } from './served.ts';
import { openWorld, type World } from './world.ts';

const COUNT = 3;

/** Replicas find each other within this time. */
const FOUND_MS = 30_000;

async function open(): Promise<World> {
  const config = manyMappings(COUNT, 'defaults: { refresh: 2s }');
  const world = await openWorld({ config, scope: 'namespace', redisUrl: redis().url });
  await seed(world, COUNT, 'first');
  return world;
}

/** It runs, and goes on running for as long as it takes to find another replica. */
async function goesOn(world: World, served: Served, value: string): Promise<void> {
  let ended = false;
  void served.ended.then(() => (ended = true));
  const began = performance.now();
  await within(FOUND_MS + 5_000, () => {
    if (!ended) expect(performance.now() - began).toBeGreaterThan(FOUND_MS);
  });
  expect(ended, served.log()).toBe(false);
  await seed(world, COUNT, value);
  await within(15_000, () => allHold(world, COUNT, value));
}

describe('an audit in a file, with Redis', () => {
  it('is for one replica: the second one ends with a clear text, and the first goes on', async () => {
    await using world = await open();
    await using first = await world.replica('a');
    await within(20_000, () => allSynced(first, COUNT));
    const began = performance.now();
    await using second = await world.replica('b');
    const { code, stderr } = await second.ended;
    console.log(`the second replica ended after ${Math.round(performance.now() - began)} ms`);
    expect(code).toBe(3);
    expect(stderr).toContain('audit.store');
    expect(stderr).toContain('postgres');
    expect(performance.now() - began).toBeLessThan(FOUND_MS);
    await seed(world, COUNT, 'second');
    await within(15_000, () => allHold(world, COUNT, 'second'));
    expect((await first.stop()).code).toBe(0);
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'is not refused to whoever starts just after %s',
    async (signal) => {
      await using world = await open();
      {
        await using before = await world.replica('a');
        await within(20_000, () => allSynced(before, COUNT));
        before.kill(signal);
        await before.ended;
      }
      await using served = await world.replica('a');
      await goesOn(world, served, 'second');
      expect((await served.stop()).code).toBe(0);
    },
  );

  it('is not refused to the service that opens anew with another configuration', async () => {
    await using world = await open();
    await using served = await world.replica('a');
    await within(20_000, () => allSynced(served, COUNT));
    await world.configure({
      config: manyMappings(COUNT, 'defaults: { refresh: 2s }\nbrake: { share: 0.5 }'),
    });
    await within(15_000, () =>
      expect(served.logged()).toContainEqual(
        expect.objectContaining({ message: 'the service restarts with a new configuration' }),
      ),
    );
    await goesOn(world, served, 'second');
    expect((await served.stop()).code).toBe(0);
  });
});
