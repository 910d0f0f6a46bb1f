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
  it('the next sync after a prune of all records neither records unchanged targets as new nor writes them', async () => {
    const world = await openWorld();
    await world.sync();
    await later(world);
    const writes = world.changes.length;
    expect(await world.sync()).toMatchObject({ ok: true, summary: { unchanged: 2 } });
    expect(world.changes).toHaveLength(writes);
    // The sync records no new source, because it read no value.
    expect(world.story()).toEqual(['command sync ok', 'sweep ok']);
  });

  it('an orphaned target still counts as ours after a prune of all records, and is held or deleted by the usual rules', async () => {
    const world = await openWorld({ more: 'defaults: { onMappingRemoved: delete }' });
    await world.sync();
    await later(world);
    await world.configure(DB_ONLY);
    expect(await world.sync()).toMatchObject({ summary: { unchanged: 1, deleted: 1 } });
  });

  it('a failure that continues is not recorded as new after a prune of all records, but its end is recorded', async () => {
    const world = await openWorld();
    world.store.absent('token');
    await world.sync();
    await later(world);
    await world.sync();
    expect(world.story().filter((line) => line.startsWith('refuse'))).toEqual([]);
    world.store.put('token', 'tok');
    expect(await world.sync()).toMatchObject({ ok: true });
  });

  it('an intent that a crash left without an outcome is resolved even after a prune of all records', async () => {
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

  it('after a prune, the brake still counts all deletions within its time window, because retention keeps records longer than that window', async () => {
    const world = await openWorld({ more: 'defaults: { onMappingRemoved: delete }' });
    await world.sync();
    await later(world);
    await world.configure(DB_ONLY);
    await world.sync();
    // The recent deletion makes the brake hold the deletion of the instance's last target.
    await world.configure('\n  []');
    expect(await world.sync()).toMatchObject({ summary: { held: 1 } });
    expect(world.cluster.raw(APPS_DB)).toBeDefined();
  });
});
