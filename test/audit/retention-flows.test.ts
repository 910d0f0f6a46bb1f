import { describe, expect, it } from 'vitest';
import { Crash } from '../fakes/faulty.ts';
import { APPS_DB, DB_ONLY, openWorld, type World } from '../reconcile/world.ts';

const DAY = 86_400_000;

/** Ten days later, everything that is on record has left. */
async function later(world: World): Promise<void> {
  await world.clock.advance(10 * DAY);
  await using process = await world.start();
  const { audit } = process.app;
  await audit.prune(await audit.head());
  expect(world.records).toEqual([]);
}

describe('when the records of all that was done have left', () => {
  it('targets that are still wanted are no news, and nothing is written', async () => {
    const world = await openWorld();
    await world.sync();
    await later(world);
    const writes = world.changes.length;
    expect(await world.sync()).toMatchObject({ ok: true, summary: { unchanged: 2 } });
    expect(world.changes).toHaveLength(writes);
    // Neither are their sources: no value was read anew.
    expect(world.story()).toEqual(['command sync ok', 'sweep ok']);
  });

  it('a target that left the configuration is still known as ours, and held or deleted by the same rules', async () => {
    const world = await openWorld({ more: 'defaults: { onMappingRemoved: delete }' });
    await world.sync();
    await later(world);
    await world.configure(DB_ONLY);
    expect(await world.sync()).toMatchObject({ summary: { unchanged: 1, deleted: 1 } });
  });

  it('a failure that goes on is not recorded as a new one, and its end still is', async () => {
    const world = await openWorld();
    world.store.absent('token');
    await world.sync();
    await later(world);
    await world.sync();
    expect(world.story().filter((line) => line.startsWith('refuse'))).toEqual([]);
    world.store.put('token', 'tok');
    expect(await world.sync()).toMatchObject({ ok: true });
  });

  it('a crash between intent and outcome is still resolved', async () => {
    const world = await openWorld({ mappings: DB_ONLY });
    {
      await using process = await world.start(() => {
        if (world.changes.length > 0) throw new Crash();
      });
      await expect(process.sync()).rejects.toThrow(Crash);
    }
    await later(world);
    expect(await world.sync()).toMatchObject({ ok: true, summary: { unchanged: 1 } });
    expect(world.story()[0]).toBe('create outcome db ok');
  });

  it('a brake counts what was destroyed within its window, since retention is longer', async () => {
    const world = await openWorld({ more: 'defaults: { onMappingRemoved: delete }' });
    await world.sync();
    await later(world);
    await world.configure(DB_ONLY);
    await world.sync();
    // The last one of the instance is never destroyed by itself, and one was just now.
    await world.configure('\n  []');
    expect(await world.sync()).toMatchObject({ summary: { held: 1 } });
    expect(world.cluster.raw(APPS_DB)).toBeDefined();
  });
});
