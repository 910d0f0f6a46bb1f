import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { planTargets } from '../../src/commands/plan.ts';
import { listOrphans, pruneOrphans } from '../../src/commands/prune.ts';
import { releaseHeld } from '../../src/commands/release.ts';
import { AppError } from '../../src/core/errors.ts';
import { exists, mappingsOf, NAMES, synced } from './destruction.ts';
import type { World } from './world.ts';

describe('old target after a change of the target name in a mapping', () => {
  const UNO = { namespace: 'apps', secret: 'uno' };
  const waiting = [{ mapping: 'one', target: { namespace: 'apps', secret: 'one' }, until: UNO, by: 'one' }];

  async function renamed(policies = 'onMappingRemoved: delete'): Promise<World> {
    const world = await synced(NAMES, policies);
    const mappings = mappingsOf(NAMES, policies);
    await world.configure(
      mappings.replace('target: { namespace: apps }', 'target: { namespace: apps, secret: uno }'),
    );
    return world;
  }

  it.each([
    [
      'its store fails',
      (world: World) => world.store.fail('one', new AppError('STORE_UNAVAILABLE')),
      (world: World) => world.store.put('one', 'value of one'),
    ],
    [
      'a Secret of somebody else has that name',
      (world: World) => void world.cluster.put(UNO, { type: 'Opaque', data: {} }),
      (world: World) => void world.cluster.forget(UNO),
    ],
    [
      'a target of another mapping that left has that name, and its store fails',
      (world: World) => {
        world.cluster.put(UNO, world.cluster.raw({ namespace: 'apps', secret: 'two' }) ?? {});
        world.store.fail('one', new AppError('STORE_UNAVAILABLE'));
      },
      (world: World) => world.store.put('one', 'value of one'),
    ],
  ])('the old target of a mapping with a new target name is kept while %s', async (_, happens, ends) => {
    const world = await renamed();
    happens(world);
    await using process = await world.start();
    const plan = await planTargets(process.app);
    expect(plan.targets.filter(({ action }) => action === 'delete' || action === 'hold')).toEqual([]);
    expect(plan.waiting).toEqual(waiting);
    for (const only of ['one', undefined])
      expect(await process.sync(only === undefined ? {} : { only })).toMatchObject({
        ok: false,
        summary: { deleted: 0, held: 0 },
        unseen: [],
        waiting,
      });
    expect(exists(world, 'one')).toBe(true);
    ends(world);
    expect(await process.sync()).toMatchObject({ ok: true, summary: { deleted: 1 }, waiting: [] });
    expect([exists(world, 'uno'), exists(world, 'one')]).toEqual([true, false]);
  });

  it('the old target of a mapping with a new target name is kept by `prune`, which reports the reason', async () => {
    const world = await renamed('onMappingRemoved: keep');
    await using process = await world.start();
    expect(await listOrphans(process.app)).toMatchObject({ targets: [], waiting });
    expect(await pruneOrphans(process.app)).toMatchObject({ ok: true, targets: [], waiting });
    expect(exists(world, 'one')).toBe(true);
    await process.sync();
    expect(await pruneOrphans(process.app)).toMatchObject({ summary: { deleted: 1 }, waiting: [] });
  });

  it('the old target of a mapping with a new target name is shown as deleted in a plan if that plan creates the new target', async () => {
    const world = await renamed();
    await using process = await world.start();
    const { targets, waiting: none } = await planTargets(process.app);
    expect(targets.map(({ action, target }) => `${action} ${target.secret}`)).toEqual([
      'delete one',
      'unchanged three',
      'unchanged two',
      'create uno',
    ]);
    expect(none).toEqual([]);
  });

  it('the old target of a mapping with a new target name is not deleted by a release before the new target exists', async () => {
    const names = ['one', 'two'];
    const world = await synced(names, 'onMappingRemoved: delete');
    const renamed = mappingsOf(names, 'onMappingRemoved: delete').replaceAll(
      /name: (\w+), target: \{ namespace: apps \}/g,
      'name: $1, target: { namespace: apps, secret: new-$1 }',
    );
    await world.configure(renamed);
    await using process = await world.start();
    const [held] = (await planTargets(process.app)).held;
    await expect(releaseHeld(process.app, held?.id ?? '')).rejects.toMatchObject({
      code: 'NOT_HELD',
      message: expect.stringContaining('stays until apps/new-'),
    });
    expect(exists(world, 'one') && exists(world, 'two')).toBe(true);
    expect(await process.sync()).toMatchObject({ summary: { created: 2, held: 2 } });
    expect(await releaseHeld(process.app, held?.id ?? '')).toMatchObject({ summary: { deleted: 1 } });
  });

  it('the old target of a mapping with a new target name does not delay the deletion of orphaned targets of other mappings', async () => {
    const world = await synced([...NAMES, 'four'], 'onMappingRemoved: delete');
    await world.configure(mappingsOf(NAMES, 'onMappingRemoved: delete'));
    world.store.fail('one', new AppError('STORE_UNAVAILABLE'));
    expect((await world.sync()).summary).toMatchObject({ deleted: 1, failed: 1 });
    expect(exists(world, 'four')).toBe(false);
  });
});

describe('old target after a change of the mapping name', () => {
  const waiting = [
    {
      mapping: 'one',
      target: { namespace: 'apps', secret: 'one' },
      until: { namespace: 'apps', secret: 'uno' },
      by: 'uno',
    },
  ];
  const others = mappingsOf(['two', 'three'], 'onMappingRemoved: delete');
  const uno = (data: string, namespace = 'apps') => `
  - { name: uno, target: { namespace: ${namespace} }, ${data} }`;
  const SAME_TARGET = 'data: { VALUE: { store: vault, key: one } }';

  it.each([
    ['the same', SAME_TARGET],
    ['more', 'data: { VALUE: { store: vault, key: one }, MORE: { store: vault, key: two } }'],
    ['every source', 'dataFrom: [ { store: vault, key: one } ]'],
    ['the keys of a search', "dataFrom: [ { store: vault, find: { path: '' } } ]"],
  ])(
    'while its store fails, the old target of a renamed mapping is kept if the new mapping reads %s',
    async (_, data) => {
      const world = await synced(NAMES, 'onMappingRemoved: delete');
      await world.configure(others + uno(data));
      world.store.fail('one', new AppError('STORE_UNAVAILABLE'));
      await using process = await world.start();
      expect(await planTargets(process.app)).toMatchObject({ held: [], waiting });
      for (const only of [undefined, 'uno'])
        expect(await process.sync(only === undefined ? {} : { only })).toMatchObject({
          summary: { deleted: 0, held: 0, failed: 1 },
        });
      expect(await pruneOrphans(process.app)).toMatchObject({ targets: [], waiting });
      expect(exists(world, 'one')).toBe(true);
      world.store.put('one', '{"a":"1"}');
      expect(await process.sync()).toMatchObject({ ok: true, summary: { deleted: 1 }, waiting: [] });
      expect([exists(world, 'uno'), exists(world, 'one')]).toEqual([true, false]);
    },
  );

  it.each([
    ['other sources', uno('data: { VALUE: { store: vault, key: four } }')],
    ['another property', uno('data: { VALUE: { store: vault, key: one, property: p } }')],
    ['another namespace', uno(SAME_TARGET, 'elsewhere')],
    ['a Secret of another owner to merge into', uno(SAME_TARGET).replace('apps }', 'apps, mode: merge }')],
  ])(
    'the old target of a renamed mapping is deleted without waiting for a new target if the new mapping has %s',
    async (_, mapping) => {
      const world = await synced(NAMES, 'onMappingRemoved: delete');
      await world.configure(others + mapping);
      for (const key of ['one', 'four']) world.store.fail(key, new AppError('STORE_UNAVAILABLE'));
      expect(await world.sync()).toMatchObject({ summary: { deleted: 1, failed: 1 }, waiting: [] });
    },
  );

  it('if the sources of the old target of a renamed mapping are unknown, the target is kept until all mappings have created their targets', async () => {
    const world = await synced(NAMES, 'onMappingRemoved: delete');
    world.cluster.edit({ namespace: 'apps', secret: 'one' }, (raw) => {
      const annotations = objectIn(objectIn(raw, 'metadata') ?? {}, 'annotations') ?? {};
      const damaged = { ...annotations, 'secretbridge.dev/sources': '' };
      return { ...raw, metadata: { ...objectIn(raw, 'metadata'), annotations: damaged } };
    });
    await world.configure(others + uno(SAME_TARGET));
    world.store.fail('one', new AppError('STORE_UNAVAILABLE'));
    expect(await world.sync()).toMatchObject({ summary: { deleted: 0, failed: 1 }, waiting });
  });
});
