import { describe, expect, it } from 'vitest';
import { releaseHeld } from '../../src/commands/release.ts';
import { AppError } from '../../src/core/errors.ts';
import type { Mapping, Search } from '../../src/core/mapping.ts';
import { mapping, source } from '../sync/sample.ts';
import { base64, openWorld, syncOnly, type World } from './world.ts';

const FLAGS = { namespace: 'apps', secret: 'app' };

function searching(find: Partial<Search['find']> = {}, more: Partial<Mapping> = {}): Mapping {
  return mapping({ dataFrom: [{ store: 'vault', find: { path: 'flags/', tags: {}, ...find } }], ...more });
}

async function flags(more: readonly Mapping[] = [searching()]): Promise<World> {
  const world = await openWorld({ mappings: more });
  world.store.put('flags/a', '1');
  world.store.put('flags/b', '2');
  return world;
}

const keysOf = (world: World) => world.cluster.raw(FLAGS)?.data;
const AB = { a: base64('1'), b: base64('2') };

/** Syncs twice within twelve minutes. Another sync then proves the absence. */
async function prove(world: World): Promise<void> {
  for (const minutes of [6, 6]) {
    await world.sync();
    world.clock.set(world.clock.now() + minutes * 60_000);
  }
}

describe('search', () => {
  it('a search adds a key for each found name, and in later runs a key for each new name', async () => {
    const world = await flags();
    expect((await syncOnly(world))?.kind).toBe('created');
    expect(keysOf(world)).toEqual(AB);
    world.store.put('flags/c', '3');
    world.store.put('other/d', '4');
    expect((await syncOnly(world))?.kind).toBe('updated');
    expect(keysOf(world)).toEqual({ ...AB, c: base64('3') });
    expect((await syncOnly(world))?.kind).toBe('unchanged');
  });

  it('a search finds keys by name and by tags', async () => {
    const world = await flags([searching({ name: '^a|^b', tags: { live: 'true' } })]);
    world.store.tag('flags/a', { live: 'true', more: 'x' });
    world.store.tag('flags/b', { live: 'TRUE' });
    await world.sync();
    expect(keysOf(world)).toEqual({ a: base64('1') });
  });

  it('a search runs only once if several mappings contain it, and each found key is read once', async () => {
    const world = await flags([
      searching(),
      searching({}, { name: 'two', target: { ...mapping().target, secret: 'two' } }),
    ]);
    await world.sync();
    expect(world.store.searches).toHaveLength(1);
    expect(world.store.reads).toEqual(['flags/a', 'flags/b']);
  });

  it('a search creates no empty Secret after a person released the deletion of the target', async () => {
    const world = await flags();
    await world.sync();
    await world.configure([searching({ path: 'nowhere/' })]);
    const { held } = await world.sync();
    await using process = await world.start();
    await releaseHeld(process.app, held[0]?.id ?? '');
    expect(keysOf(world)).toBeUndefined();
    expect(await world.sync()).toMatchObject({ ok: true, summary: { created: 0, unchanged: 1 } });
    expect(world.cluster.raw(FLAGS)).toBeUndefined();
    await world.configure([searching()]);
    expect(await world.sync()).toMatchObject({ ok: true, summary: { created: 1 } });
  });

  it('a search that finds nothing fails a new target, unless it is optional or the target has other keys', async () => {
    const optional = mapping({
      dataFrom: [{ store: 'vault', optional: true, find: { path: 'flags/', tags: {} } }],
    });
    const world = await openWorld({ mappings: [searching()] });
    const outcome = await syncOnly(world);
    expect(outcome).toMatchObject({
      kind: 'failed',
      error: { code: 'SOURCE_ABSENT', subject: 'store vault, search below flags/' },
    });
    expect(world.cluster.raw(FLAGS)).toBeUndefined();
    world.store.put('db', 'x');
    await world.configure([searching({}, { data: { DB: source({ key: 'db' }) } })]);
    expect(await syncOnly(world)).toMatchObject({ kind: 'created', warnings: [{ code: 'SOURCE_ABSENT' }] });
    expect(keysOf(world)).toEqual({ DB: base64('x') });
    const empty = await openWorld({ mappings: [optional] });
    const created = await syncOnly(empty);
    expect(created).toMatchObject({ kind: 'created' });
    expect(created?.warnings).toBeUndefined();
    expect(keysOf(empty) ?? {}).toEqual({});
  });

  it('a failed search leaves the target unchanged, and no key is read', async () => {
    const world = await flags();
    await world.sync();
    const before = world.cluster.raw(FLAGS);
    const reads = world.store.reads.length;
    world.store.failSearches(new AppError('STORE_UNAVAILABLE'));
    const outcome = await syncOnly(world);
    expect(outcome).toMatchObject({ kind: 'failed', error: { code: 'STORE_UNAVAILABLE' } });
    expect(outcome?.error?.message).toContain('store vault, search below flags/');
    expect(world.cluster.raw(FLAGS)).toEqual(before);
    expect(world.store.reads).toHaveLength(reads);
  });

  it('a search leaves the target unchanged if one of the found keys cannot be read', async () => {
    const world = await flags();
    await world.sync();
    world.store.put('flags/c', '3');
    world.store.fail('flags/b', new AppError('ACCESS_DENIED'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'failed', error: { code: 'ACCESS_DENIED' } });
    expect(keysOf(world)).toEqual(AB);
  });

  it('a search skips keys that the store lists as deleted, if the target never contained them', async () => {
    const world = await flags();
    world.store.fail('flags/gone', new AppError('SOURCE_DELETED'));
    expect((await syncOnly(world))?.kind).toBe('created');
    expect(keysOf(world)).toEqual(AB);
    world.store.fail('flags/a', new AppError('SOURCE_DELETED'));
    expect(await syncOnly(world)).toMatchObject({ kind: 'failed', error: { code: 'SOURCE_DELETED' } });
    expect(keysOf(world)).toEqual(AB);
  });
});

describe('key that a search has found before but no longer finds', () => {
  it('a key that is no longer in the search result is read separately, and stays if it still exists, because the list may be stale', async () => {
    const world = await flags();
    await world.sync();
    world.store.listed('flags/a', false);
    world.store.put('flags/a', 'new', '2');
    expect((await syncOnly(world))?.kind).toBe('updated');
    expect(keysOf(world)).toEqual({ ...AB, a: base64('new') });
    expect((await syncOnly(world))?.kind).toBe('unchanged');
  });

  it('a key that is no longer in the search result stays after the first read that found it absent', async () => {
    const world = await flags();
    await world.sync();
    world.store.absent('flags/a');
    expect(await syncOnly(world)).toMatchObject({
      kind: 'failed',
      error: { code: 'SOURCE_ABSENT', subject: 'store vault, key flags/a' },
    });
    expect(keysOf(world)).toEqual(AB);
  });

  it('a key that is no longer in the search result is removed if its absence is proved and the mapping allows the removal', async () => {
    const world = await flags([searching({}, { onSourceMissing: 'removeKeys' })]);
    await world.sync();
    world.store.absent('flags/a');
    await prove(world);
    expect(keysOf(world)).toEqual(AB);
    expect((await syncOnly(world))?.kind).toBe('updated');
    expect(keysOf(world)).toEqual({ b: base64('2') });
    expect((await syncOnly(world))?.kind).toBe('unchanged');
  });

  it('a key that is no longer in the search result is removed in a single write, even if it is also an optional source of the mapping', async () => {
    const named = { A: source({ key: 'flags/a', optional: true }) };
    const world = await flags([searching({}, { data: named, onSourceMissing: 'removeKeys' })]);
    await world.sync();
    expect(keysOf(world)).toEqual({ A: base64('1'), ...AB });
    world.store.absent('flags/a');
    await prove(world);
    expect((await syncOnly(world))?.kind).toBe('updated');
    expect(keysOf(world)).toEqual({ b: base64('2') });
    expect((await syncOnly(world))?.kind).toBe('unchanged');
  });

  it('a key that is no longer in the search result stays if the search returns no keys at all', async () => {
    const world = await flags([searching({}, { onSourceMissing: 'delete' })]);
    await world.sync();
    for (const key of ['flags/a', 'flags/b']) world.store.listed(key, false);
    await prove(world);
    expect((await syncOnly(world))?.kind).toBe('unchanged');
    expect(keysOf(world)).toEqual(AB);
  });

  it('a target fails if a key that is no longer in the search result cannot be read', async () => {
    const world = await flags([searching({}, { onSourceMissing: 'removeKeys' })]);
    await world.sync();
    world.store.fail('flags/a', new AppError('THROTTLED'));
    world.store.listed('flags/a', false);
    expect(await syncOnly(world)).toMatchObject({ kind: 'failed', error: { code: 'THROTTLED' } });
    expect(keysOf(world)).toEqual(AB);
  });

  it('a key that is no longer in the search result is removed without a proof of absence if it still exists and has only lost its tag', async () => {
    const world = await flags([searching({ tags: { live: 'true' } })]);
    for (const key of ['flags/a', 'flags/b']) world.store.tag(key, { live: 'true' });
    await world.sync();
    expect(keysOf(world)).toEqual(AB);
    world.store.tag('flags/a', {});
    expect((await syncOnly(world))?.kind).toBe('updated');
    expect(keysOf(world)).toEqual({ b: base64('2') });
  });

  it('a key that is no longer in the search result stays if it is missing in the list by tag and in the list without tags', async () => {
    const world = await flags([searching({ tags: { live: 'true' } })]);
    for (const key of ['flags/a', 'flags/b']) world.store.tag(key, { live: 'true' });
    await world.sync();
    world.store.listed('flags/a', false);
    expect((await syncOnly(world))?.kind).toBe('unchanged');
    expect(keysOf(world)).toEqual(AB);
  });

  it("a key outside of a search's path never counts as a found key, even if its name begins with the text of the path", async () => {
    const feature = { store: 'vault', key: 'flags-x', optional: false };
    const world = await flags([searching({ path: 'flags' }, { data: { X: feature } })]);
    world.store.put('flags-x', 'x');
    await world.sync();
    expect(keysOf(world)).toEqual({ ...AB, X: base64('x') });
    await world.configure([searching({ path: 'flags' })]);
    expect((await syncOnly(world))?.kind).toBe('updated');
    expect(keysOf(world)).toEqual(AB);
  });

  it.each([false, true])(
    'a target with templates (`only: %s`) fails if a found key is gone and there were too many sources to record their names',
    async (only) => {
      const names = Array.from({ length: 1_200 }, (_, n) => `flags/many-${n}`);
      const template = { only, data: { 'app.conf': 'made of flags' } };
      const world = await flags([searching({}, { template })]);
      for (const name of names) world.store.put(name, 'v');
      expect(await syncOnly(world)).toMatchObject({ kind: 'created' });
      expect(await syncOnly(world)).toMatchObject({ kind: 'unchanged' });
      world.store.absent('flags/many-1');
      expect(await syncOnly(world)).toMatchObject({ kind: 'failed', error: { code: 'SOURCE_ABSENT' } });
    },
  );

  it('a key that is no longer in the search result is removed without a proof of absence if the configuration of the search changed', async () => {
    const world = await flags();
    await world.sync();
    await world.configure([searching({ name: '^b$' })]);
    expect((await syncOnly(world))?.kind).toBe('updated');
    expect(keysOf(world)).toEqual({ b: base64('2') });
  });
});
