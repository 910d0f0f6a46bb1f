import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import type { Outcome } from '../../src/reconcile/outcome.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { mergesIn } from '../../src/sync/merge-record.ts';
import { crashAt, type Watch } from '../fakes/faulty.ts';
import { base64, openWorld, type World } from './world.ts';

const ID = { namespace: 'apps', secret: 'shared' };
const MAPPINGS = `
  - name: m
    target: { namespace: apps, secret: shared, mode: merge, labels: { team: a } }
    data:
      KEY: { store: vault, key: token }
      OTHER: { store: vault, key: other, optional: true }
`;
const OLD = { instance: 'old', formerInstances: [] };
const NEW = { instance: 'new', formerInstances: ['old', 'new'] };

/** Reconciles the target once, as the instance with the given name. */
async function run(world: World, names: typeof NEW | typeof OLD, watch?: Watch): Promise<Outcome> {
  await using process = await world.start(watch);
  const [mapping] = process.app.config.mappings;
  if (mapping === undefined) throw new Error('no mapping');
  return await reconcile(mapping, ID, { ...(await process.app.createContext()), ...names });
}

/** Creates a foreign Secret into which this instance has merged keys under its old name. */
async function openMerged(): Promise<World> {
  const world = await openWorld({ mappings: MAPPINGS });
  world.store.put('other', 'o');
  world.cluster.put(ID, { data: { THEIRS: base64('t') } });
  expect(await run(world, OLD)).toMatchObject({ kind: 'updated' });
  return world;
}

const dataOf = (world: World) => world.cluster.raw(ID)?.data;
const WITH = (token: string) => ({ THEIRS: base64('t'), KEY: base64(token), OTHER: base64('o') });

async function holders(world: World): Promise<Readonly<Record<string, readonly string[]>>> {
  const live = await world.cluster.read(ID);
  if (live === undefined) throw new Error('it is gone');
  expect(mergesIn(live).map(({ instance }) => instance)).toEqual(['new']);
  const names = ['secretbridge.old.m', 'secretbridge.new.m'];
  return Object.fromEntries(names.map((name) => [name, world.cluster.mergedKeys(live, name)]));
}

const TAKEN_OVER = { 'secretbridge.old.m': [], 'secretbridge.new.m': ['KEY', 'OTHER'] };

it('a renamed mapping takes over the merge that it made under its old name, and then follows its source', async () => {
  const world = await openWorld({ mappings: MAPPINGS });
  world.store.put('other', 'o');
  world.cluster.put(ID, { data: { THEIRS: base64('t') } });
  await world.sync();
  await world.configure(MAPPINGS.replace('name: m', 'name: renamed'));
  await world.sync();
  world.store.put('token', 'rotated', '2');
  expect((await world.sync()).targets).toMatchObject([{ mapping: 'renamed', kind: 'updated' }]);
  expect(dataOf(world)).toEqual(WITH('rotated'));
  const live = (await world.cluster.read(ID)) ?? expect.fail();
  expect(mergesIn(live).map(({ mapping }) => mapping)).toEqual(['renamed']);
  expect((await world.sync()).targets).toMatchObject([{ kind: 'unchanged' }]);
});

describe('merge made under an old instance name', () => {
  it('a merge made under an old instance name is taken over, and then follows its source', async () => {
    const world = await openMerged();
    expect(await run(world, NEW)).toMatchObject({
      kind: 'updated',
      keys: [{ action: 'keep' }, { action: 'keep' }],
    });
    expect(dataOf(world)).toEqual(WITH('tok'));
    expect(await holders(world)).toEqual(TAKEN_OVER);
    expect(await run(world, NEW)).toMatchObject({ kind: 'unchanged' });
    world.store.put('token', 'rotated', '2');
    expect(await run(world, NEW)).toMatchObject({ kind: 'updated' });
    expect(dataOf(world)).toEqual(WITH('rotated'));
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('a merge made under an old instance name keeps every key after a crash at any step, even if the source has changed', async () => {
    const steps = crashAt(0);
    const first = await openMerged();
    first.store.put('token', 'rotated', '2');
    expect(await run(first, NEW, steps.watch)).toMatchObject({ kind: 'updated' });
    expect(dataOf(first)).toEqual(WITH('rotated'));
    expect(await holders(first)).toEqual(TAKEN_OVER);
    expect(steps.steps.filter((step) => step === 'before cluster.merge')).toHaveLength(3);

    for (const [index, step] of steps.steps.entries()) {
      const world = await openMerged();
      world.store.put('token', 'rotated', '2');
      const crash = crashAt(index + 1);
      const seen = new Set<string>();
      const watch: Watch = async (operation) => {
        seen.add(Object.keys(dataOf(world) ?? {}).join(' '));
        await crash.watch(operation);
      };
      await expect(run(world, NEW, watch), step).rejects.toThrow();
      expect([...seen], step).toEqual(['THEIRS KEY OTHER']);
      expect([WITH('tok'), WITH('rotated')], step).toContainEqual(dataOf(world));
      await run(world, NEW);
      expect(dataOf(world), step).toEqual(WITH('rotated'));
      expect(await holders(world), step).toEqual(TAKEN_OVER);
      expect(objectIn(world.cluster.raw(ID) ?? {}, 'metadata')?.labels, step).toEqual({ team: 'a' });
      expect(await run(world, NEW), step).toMatchObject({ kind: 'unchanged' });
    }
  });

  it('a merge made under an old instance name ends even if the old and the new field manager already share the keys', async () => {
    const world = await openMerged();
    await run(world, { instance: 'new', formerInstances: [] });
    world.store.put('token', 'rotated', '2');
    expect(await run(world, { instance: 'new', formerInstances: [] })).toMatchObject({
      kind: 'refused',
      error: { code: 'CONFLICT' },
    });
    expect(await run(world, NEW)).toMatchObject({ kind: 'updated' });
    expect(dataOf(world)).toEqual(WITH('rotated'));
    expect(await holders(world)).toEqual(TAKEN_OVER);
  });

  it('a merge made under an old instance name is refused if the source of a key has changed and another field manager also holds this key', async () => {
    const world = await openMerged();
    const live = await world.cluster.read(ID);
    if (live === undefined) throw new Error('it is gone');
    const data = new Map([...live.data].filter(([key]) => key === 'KEY'));
    await world.cluster.merge(live, { manager: 'helm', labels: {}, annotations: {}, data });
    world.store.put('token', 'rotated', '2');
    expect(await run(world, NEW)).toMatchObject({ kind: 'refused', error: { code: 'CONFLICT' } });
    expect(dataOf(world)).toEqual(WITH('tok'));
  });

  it('a merge made under an old instance name keeps the key of an optional source while the absence of this source is not proved', async () => {
    const world = await openMerged();
    world.store.absent('other');
    expect(await run(world, NEW)).toMatchObject({ kind: 'failed', error: { code: 'SOURCE_ABSENT' } });
    expect(dataOf(world)).toEqual(WITH('tok'));
  });
});
