import { describe, expect, it } from 'vitest';
import { Crash } from '../fakes/faulty.ts';
import { APPS_DB, DB_ONLY, openWorld, type World } from '../reconcile/world.ts';

const DAY = 86_400_000;

/** Advances the clock by ten days and prunes all records. */
async function later(world: World): Promise<void> {
  await world.clock.advance(10 * DAY);
  await using process = await world.start();
  const { audit } = process.app;
  await audit.prune(await audit.head());
  expect(world.records).toEqual([]);
}

describe('after all records are pruned', () => {
  it('unchanged targets are neither recorded as new nor written', async () => {
    const world = await openWorld();
    await world.sync();
    await later(world);
    const writes = world.changes.length;
    expect(await world.sync()).toMatchObject({ ok: true, summary: { unchanged: 2 } });
    expect(world.changes).toHaveLength(writes);
    // Sources are not recorded as new either, because no value was read again.
    expect(world.story()).toEqual(['command sync ok', 'sweep ok']);
  });

  it('an orphaned target is still recognized as owned, and held or deleted by the same rules', async () => {
    const world = await openWorld({ more: 'defaults: { onMappingRemoved: delete }' });
    await world.sync();
    await later(world);
    await world.configure(DB_ONLY);
    expect(await world.sync()).toMatchObject({ summary: { unchanged: 1, deleted: 1 } });
  });

  it('an ongoing failure is not recorded as new, but its end is recorded', async () => {
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

  it('a brake counts all deletions within its window, because the retention is longer than the window', async () => {
    const world = await openWorld({ more: 'defaults: { onMappingRemoved: delete }' });
    await world.sync();
    await later(world);
    await world.configure(DB_ONLY);
    await world.sync();
    // The recent deletion makes the brake hold the instance's last target.
    await world.configure('\n  []');
    expect(await world.sync()).toMatchObject({ summary: { held: 1 } });
    expect(world.cluster.raw(APPS_DB)).toBeDefined();
  });
});
