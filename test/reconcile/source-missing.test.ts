import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { Crash } from '../fakes/faulty.ts';
import { almostProve, exists, MINUTE, NAMES, synced } from './destruction.ts';
import { base64, openWorld, type World } from './world.ts';

describe('missing source', () => {
  it('a missing source causes the deletion of its target only after the read that proves the absence', async () => {
    const world = await synced(NAMES, 'onSourceMissing: delete');
    world.store.absent('one');
    await almostProve(world);
    expect(exists(world, 'one')).toBe(true);
    const report = await world.sync();
    expect(report.summary).toMatchObject({ deleted: 1, unchanged: 2 });
    expect(exists(world, 'one')).toBe(false);
    expect(world.story().filter((line) => line.startsWith('delete'))).toEqual([
      'delete intent one ok',
      'delete outcome one ok',
    ]);
  });

  it('a missing source does not count as absent after many reads in a short time, or after few reads in a long time', async () => {
    const world = await synced(NAMES, 'onSourceMissing: delete');
    world.store.absent('one');
    for (let reading = 0; reading < 10; reading += 1) await world.sync();
    expect(exists(world, 'one')).toBe(true);
    const late = await synced(NAMES, 'onSourceMissing: delete');
    late.store.absent('one');
    await late.sync();
    await late.clock.advance(60 * MINUTE);
    await late.sync();
    expect(exists(late, 'one')).toBe(true);
  });

  it.each([1, 2])(
    'a missing source counts as absent after %i consecutive reads, even at the same time, if no minimum time is configured',
    async (n) => {
      const world = await synced(
        NAMES,
        'onSourceMissing: delete',
        `absence: { readings: ${n}, over: 0s }\nbrake: { share: 0, window: 1ms }`,
      );
      world.store.absent('one');
      for (let reading = 1; reading < n; reading += 1) await world.sync();
      expect(exists(world, 'one')).toBe(true);
      expect((await world.sync()).summary).toMatchObject({ deleted: 1, unchanged: 2 });
      expect(exists(world, 'one')).toBe(false);
    },
  );

  it.each([
    ['it was found in between', (world: World) => world.store.put('one', 'value of one')],
    [
      'another failure came in between',
      (world: World) => world.store.fail('one', new AppError('ACCESS_DENIED')),
    ],
  ])('a missing source needs a new proof of absence if %s', async (_, happens) => {
    const world = await synced(NAMES, 'onSourceMissing: delete');
    world.store.absent('one');
    await almostProve(world);
    happens(world);
    await world.sync();
    world.store.absent('one');
    await world.sync();
    expect(exists(world, 'one')).toBe(true);
  });

  it('a missing source causes the removal of only its own keys from the target with `onSourceMissing: removeKeys`', async () => {
    const mappings = `
  - { name: app, target: { namespace: apps }, onSourceMissing: removeKeys, data: { A: { store: vault, key: one }, B: { store: vault, key: two } } }`;
    const world = await openWorld({ mappings });
    world.store.put('one', '1');
    world.store.put('two', '2');
    await world.sync();
    world.store.absent('one');
    await almostProve(world);
    expect((await world.sync()).summary.updated).toBe(1);
    expect(Object.keys(world.cluster.raw({ namespace: 'apps', secret: 'app' })?.data as object)).toEqual([
      'B',
    ]);
  });

  it.each(['own', 'merge'])(
    "a missing source leaves the target in sync without the source's keys (mode %s), and the keys return with the source",
    async (mode) => {
      const app = { namespace: 'apps', secret: 'app' };
      const mappings = `
  - name: app
    target: { namespace: apps, mode: ${mode} }
    onSourceMissing: removeKeys
    data: { A: { store: vault, key: one }, B: { store: vault, key: two }, C: { store: vault, key: three } }`;
      const world = await openWorld({ mappings });
      for (const name of NAMES) world.store.put(name, name);
      if (mode === 'merge') world.cluster.put(app, { data: {} });
      await world.sync();
      const dataOf = () => world.cluster.raw(app)?.data;
      const unchanged = async () => {
        const writes = world.cluster.writes.length;
        expect(await world.sync()).toMatchObject({ ok: true, summary: { unchanged: 1 } });
        expect(world.cluster.writes).toHaveLength(writes);
      };
      world.store.absent('one');
      await almostProve(world);
      await world.sync();
      await unchanged();
      world.store.put('two', 'new', '2');
      expect(await world.sync()).toMatchObject({ ok: true, summary: { updated: 1 } });
      expect(dataOf()).toEqual({ B: base64('new'), C: base64('three') });
      // For another missing source, a separate proof of absence is needed.
      world.store.absent('two');
      expect(await world.sync()).toMatchObject({
        ok: false,
        targets: [{ error: { code: 'SOURCE_ABSENT' } }],
      });
      await almostProve(world);
      expect(await world.sync()).toMatchObject({ ok: true, summary: { updated: 1 } });
      expect(dataOf()).toEqual({ C: base64('three') });
      await unchanged();
      expect(JSON.stringify(world.cluster.raw(app))).toMatch(/dev\/removed|\\"removed\\"/);
      for (const name of ['one', 'two']) world.store.put(name, 'back', '3');
      expect(await world.sync()).toMatchObject({ ok: true, summary: { updated: 1 } });
      expect(dataOf()).toEqual({ A: base64('back'), B: base64('back'), C: base64('three') });
      await unchanged();
      expect(JSON.stringify(world.cluster.raw(app))).not.toMatch(/dev\/removed|\\"removed\\"/);
    },
  );

  describe('target that is missing like its source', () => {
    const app = { namespace: 'apps', secret: 'app' };
    const mappings = (more: string) => `
  - name: app
    target: { namespace: apps, ${more} }
    onSourceMissing: removeKeys
    data: { A: { store: vault, key: one }, B: { store: vault, key: two } }
  - { name: other, target: { namespace: apps }, data: { A: { store: vault, key: two } } }`;
    const dataOf = (world: World) => world.cluster.raw(app)?.data;

    async function openRemoved(more: string): Promise<World> {
      const world = await openWorld({ mappings: mappings(more) });
      for (const name of NAMES) world.store.put(name, name);
      if (more.includes('merge')) world.cluster.put(app, { data: {} });
      await world.sync();
      world.store.absent('one');
      await almostProve(world);
      expect(await world.sync()).toMatchObject({ ok: true, summary: { updated: 1 } });
      return world;
    }
    async function expectBack(world: World): Promise<void> {
      expect(await world.sync()).toMatchObject({ ok: true });
      expect(dataOf(world)).toEqual({ B: base64('two') });
      expect(await world.sync()).toMatchObject({ ok: true, summary: { unchanged: 2 } });
      world.store.put('one', 'back', '2');
      expect(await world.sync()).toMatchObject({ ok: true, summary: { updated: 1 } });
      expect(dataOf(world)).toEqual({ A: base64('back'), B: base64('two') });
    }

    it('if somebody deletes a target by hand, the next sync creates the target without the keys of the missing source', async () => {
      const world = await openRemoved('type: Opaque');
      world.cluster.forget(app);
      await expectBack(world);
    });

    it('if a crash interrupts a recreation after the target was deleted, the next sync creates the target without the keys of the missing source', async () => {
      const world = await openRemoved('type: Opaque');
      await world.configure(mappings('type: example.com/new, recreate: true'));
      let dead = false;
      const crashed = world.sync(({ call, phase }) => {
        dead ||= call === 'cluster.remove' && phase === 'after';
        if (dead) throw new Crash();
      });
      await expect(crashed).rejects.toThrow();
      expect(dataOf(world)).toBeUndefined();
      await expectBack(world);
    });

    it('if the owner replaces a Secret with merged keys, the next sync merges all keys again except the keys of the missing source', async () => {
      const world = await openRemoved('mode: merge');
      world.cluster.put(app, { data: {} });
      await expectBack(world);
    });

    it('a deleted target is not created again if all its sources are missing, or if a source that was added to the mapping has never existed in the store', async () => {
      const world = await openRemoved('type: Opaque');
      world.cluster.forget(app);
      world.store.absent('two');
      await almostProve(world);
      expect((await world.sync()).targets[0]).toMatchObject({ error: { code: 'SOURCE_ABSENT' } });
      world.store.put('two', 'two');
      await world.configure(mappings('type: Opaque').replace('key: two } }', 'key: typo } }'));
      await almostProve(world);
      expect((await world.sync()).targets[0]).toMatchObject({ error: { code: 'SOURCE_ABSENT' } });
      expect(dataOf(world)).toBeUndefined();
    });
  });

  it("a missing source that a search had found is not reported, and leaves the target in sync without the source's keys", async () => {
    const mappings = `
  - name: app
    target: { namespace: apps }
    onSourceMissing: removeKeys
    dataFrom: [ { store: vault, find: { path: '' } } ]`;
    const world = await openWorld({ mappings });
    world.store.put('one', '1');
    await world.sync();
    world.store.absent('one');
    await almostProve(world);
    expect(await world.sync()).toMatchObject({ ok: true, summary: { updated: 1 } });
    const writes = world.cluster.writes.length;
    expect(await world.sync()).toMatchObject({ ok: true, summary: { unchanged: 1 } });
    expect(world.cluster.writes).toHaveLength(writes);
  });

  it('a missing source fails the target if the source never existed and was just added to the mapping', async () => {
    const mapping = (more: string) => `
  - { name: app, target: { namespace: apps }, onSourceMissing: removeKeys, data: { A: { store: vault, key: one }, B: { store: vault, key: two }${more} } }`;
    const world = await openWorld({ mappings: mapping('') });
    for (const name of NAMES) world.store.put(name, name);
    await world.sync();
    world.store.absent('one');
    await almostProve(world);
    await world.sync();
    await world.configure(mapping(', C: { store: vault, key: typo }'));
    await almostProve(world);
    expect(await world.sync()).toMatchObject({ targets: [{ error: { code: 'SOURCE_ABSENT' } }] });
    expect((await world.sync()).targets[0]?.error?.message).toContain('typo');
  });

  it('a missing source is reported with `onSourceMissing: keep`, and its keys stay in the target', async () => {
    const world = await synced(['one'], 'onSourceMissing: keep');
    world.store.absent('one');
    await almostProve(world);
    await world.clock.advance(600 * MINUTE);
    expect(await world.sync()).toMatchObject({
      ok: false,
      targets: [{ kind: 'failed', error: { code: 'SOURCE_ABSENT' } }],
    });
    expect(exists(world, 'one')).toBe(true);
  });
});
