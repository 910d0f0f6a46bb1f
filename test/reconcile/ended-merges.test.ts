import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { explainMapping } from '../../src/commands/explain/explain.ts';
import { planTargets } from '../../src/commands/plan.ts';
import { releaseHeld } from '../../src/commands/release.ts';
import { AppError } from '../../src/core/errors.ts';
import type { Step } from '../fakes/faulty.ts';
import { serve } from '../service/serving.ts';
import { waitUntil } from '../wait-until.ts';
import { base64, openWorld, type World } from './world.ts';

const targetOf = (secret: string) => ({ namespace: 'apps', secret });
const SHARED = targetOf('shared');
/** These targets stay in the cluster, because the brake never allows the deletion of all targets. */
const OWN = Array.from(
  { length: 3 },
  (_, n) => `
  - name: own${n}
    target: { namespace: apps }
    data: { K: { store: vault, key: db } }`,
).join('');
const merge = (name: string, secret = 'shared', more = '') => `
  - name: ${name}
    target: { namespace: apps, secret: ${secret}, mode: merge }
    onMappingRemoved: delete
    data: { KEY: { store: vault, key: token }${more} }`;
const dataOf = (world: World, secret = 'shared') => world.cluster.raw(targetOf(secret))?.data;
const THEIRS = { THEIRS: base64('t') };
const WITH_KEY = { ...THEIRS, KEY: base64('tok') };

async function open(mappings: string, secrets: readonly string[] = ['shared']): Promise<World> {
  const world = await openWorld({ mappings: OWN + mappings });
  for (const secret of secrets) world.cluster.put(targetOf(secret), { data: THEIRS });
  expect(await world.sync()).toMatchObject({ ok: true });
  return world;
}

describe('end of a merge that takes effect after the request timed out', () => {
  it("a merge whose end timed out is recorded as ended when a later run finds the keys gone, and counts toward the brake's limit", async () => {
    const world = await open(merge('m') + merge('n', 'second'), ['shared', 'second']);
    await world.configure(OWN + merge('n', 'second'));
    let makeLate: () => Promise<unknown> = async () => undefined;
    await world.sync(({ call, phase, args }: Step) => {
      if (call !== 'cluster.merge' || phase !== 'before') return;
      makeLate = () => world.cluster.merge(...(args as Parameters<typeof world.cluster.merge>));
      throw new AppError('CLUSTER_UNAVAILABLE');
    });
    expect(dataOf(world)).toEqual(WITH_KEY);
    await makeLate();
    expect(dataOf(world)).toEqual(THEIRS);
    await world.configure(OWN);
    const { length } = world.records;
    expect((await world.sync()).summary).toMatchObject({ held: 1, updated: 0 });
    expect(dataOf(world, 'second')).toEqual(WITH_KEY);
    expect(world.story(length)).toContain('update outcome shared ok');
  });

  it('a merge whose end timed out is not recorded as ended while our keys still exist', async () => {
    const world = await open(merge('m'));
    await world.configure(OWN);
    world.cluster.fail('merge', new AppError('CLUSTER_UNAVAILABLE'));
    await world.sync();
    await world.configure(OWN + merge('m'));
    const { length } = world.records;
    expect(await world.sync()).toMatchObject({ ok: true });
    expect(world.story(length)).not.toContain('update outcome shared ok');
  });
});

describe('merge of a renamed mapping', () => {
  it('a merge keeps its keys after its mapping was renamed, while the store fails and after the store recovers', async () => {
    const world = await open(merge('m'));
    await world.configure(OWN + merge('renamed'));
    world.store.fail('token', new AppError('STORE_UNAVAILABLE'));
    const waiting = [{ mapping: 'm', target: SHARED, until: SHARED, by: 'renamed' }];
    {
      await using process = await world.start();
      expect(await planTargets(process.app)).toMatchObject({ held: [], waiting });
      expect(await process.sync()).toMatchObject({ summary: { failed: 1, unchanged: 3 }, waiting });
    }
    expect(dataOf(world)).toEqual(WITH_KEY);
    world.store.put('token', 'tok', '2');
    expect(await world.sync()).toMatchObject({ ok: true, waiting: [] });
    expect(dataOf(world)).toEqual(WITH_KEY);
  });

  it('a merge of a renamed mapping keeps its keys in a running service even if the store fails', async () => {
    const world = await open(merge('m'));
    await world.configure(OWN + merge('renamed'));
    world.store.fail('token', new AppError('STORE_UNAVAILABLE'));
    await using running = await serve(world);
    const stateOf = async () =>
      (await running.service.status()).targets.find(({ mapping }) => mapping === 'renamed')?.state;
    await waitUntil(async () => expect(await stateOf()).toBe('stale'));
    for (let second = 0; second < 10; second += 1) await world.clock.advance(1_000);
    expect(dataOf(world)).toEqual(WITH_KEY);
  });

  it('a merge of a renamed mapping keeps an optional key after a single read that found the source absent', async () => {
    const optional = ', OTHER: { store: vault, key: other, optional: true }';
    const world = await openWorld({ mappings: OWN + merge('m', 'shared', optional) });
    world.store.put('other', 'o');
    world.cluster.put(SHARED, { data: THEIRS });
    await world.sync();
    await world.configure(OWN + merge('renamed', 'shared', optional));
    world.store.absent('other');
    await world.sync();
    expect(dataOf(world)).toEqual({ ...WITH_KEY, OTHER: base64('o') });
  });

  it('the renaming of a mapping with a merge causes no planned deletion and no held change', async () => {
    const world = await open(merge('m') + merge('n', 'second'), ['shared', 'second']);
    await world.configure(OWN + merge('m2') + merge('n2', 'second'));
    await using process = await world.start();
    const { targets, held } = await planTargets(process.app);
    expect(held).toEqual([]);
    expect(targets.map(({ mapping }) => mapping).sort()).toEqual(['m2', 'n2', 'own0', 'own1', 'own2']);
    expect(await process.sync()).toMatchObject({ ok: true, held: [] });
    expect([dataOf(world), dataOf(world, 'second')]).toEqual([WITH_KEY, WITH_KEY]);
  });
});

describe('ending merges', () => {
  const NAMES = ['a', 'b', 'c', 'd'];
  const secretOf = (name: string) => `s-${name}`;
  const all = (names: readonly string[]) => names.map((name) => merge(name, secretOf(name))).join('');
  const left = (world: World) =>
    NAMES.filter((name) => Object.hasOwn(dataOf(world, secretOf(name)) ?? {}, 'KEY'));

  it("if merges end one at a time, the end of each merge counts toward the brake's limit like a deletion, and can be released", async () => {
    const world = await open(all(NAMES), NAMES.map(secretOf));
    for (const count of [1, 2, 3, 4]) {
      await world.configure(OWN + all(NAMES.slice(count)));
      await world.sync();
    }
    expect(left(world)).toEqual(['b', 'c', 'd']);
    await using running = await serve(world);
    for (let second = 0; second < 10; second += 1) await world.clock.advance(1_000);
    await waitUntil(() => expect(running.service.held()).toHaveLength(3));
    for (const { id } of running.service.held())
      expect(await running.service.release(id, { name: 'ann' }, `r-${id}`)).toMatchObject({
        summary: { updated: 1 },
      });
    expect(left(world)).toEqual([]);
    expect(running.service.held()).toEqual([]);
  });

  it('the end of a merge can be released while it is recorded as held, even if the brake no longer holds it', async () => {
    const world = await open(all(['a', 'b']), NAMES.map(secretOf));
    await world.configure(OWN);
    const { held } = await world.sync();
    expect(held).toHaveLength(2);
    const [first, second] = held;
    await using process = await world.start();
    await releaseHeld(process.app, first?.id ?? '');
    await world.clock.advance(25 * 3_600_000);
    expect(await releaseHeld(process.app, second?.id ?? '')).toMatchObject({ summary: { updated: 1 } });
    expect(left(world)).toEqual([]);
  });
});

it('the brake counts a change that would leave a target without keys, even in a sync of another mapping', async () => {
  const mappings = (source: string) => `${OWN}
  - name: empty
    target: { namespace: apps }
    data: { KEY: ${source} }
  - name: gone
    target: { namespace: apps }
    onSourceMissing: delete
    data: { KEY: { store: vault, key: token } }`;
  const world = await openWorld({
    mappings: mappings('{ store: vault, key: db }'),
    more: 'absence: { readings: 3, over: 10m }',
  });
  await world.sync();
  await world.configure(mappings('{ store: vault, key: nothere, optional: true }'));
  world.store.absent('token');
  for (let reading = 0; reading < 3; reading += 1) {
    await world.sync(undefined, { only: 'empty' });
    await using process = await world.start();
    await planTargets(process.app, 'gone');
    await world.clock.advance(6 * 60_000);
  }
  await using process = await world.start();
  const actionIn = async (only?: string) =>
    (await planTargets(process.app, only)).targets.find(({ mapping }) => mapping === 'gone')?.action;
  expect([await actionIn(), await actionIn('gone')]).toEqual(['hold', 'hold']);
  expect(await explainMapping(process.app, 'gone')).toMatchObject([{ state: 'held' }]);
  expect(await process.sync()).toMatchObject({ summary: { held: 2, deleted: 0 } });
});

describe('owned Secret into which another mapping merged keys before', () => {
  const owning = (name: string) => `
  - name: ${name}
    onConflict: adopt
    target: { namespace: apps, secret: shared }
    onMappingRemoved: keep
    data: { KEY: { store: vault, key: token }, THEIRS: { store: vault, key: token } }`;
  const OWNED = { KEY: base64('tok'), THEIRS: base64('tok') };
  const annotationsOf = (world: World) =>
    Object.keys(
      objectIn(objectIn(world.cluster.raw(SHARED) ?? {}, 'metadata') ?? {}, 'annotations') ?? {},
    ).filter((name) => name.startsWith('secretbridge.dev/merge-'));

  it.each(['m', 'another'])(
    'an owned Secret keeps the keys of an earlier merge after the removal of mapping %s, which had `onMappingRemoved: keep`',
    async (by) => {
      const world = await open(merge('m'));
      await world.configure(OWN + owning(by));
      expect(await world.sync()).toMatchObject({ ok: true, summary: { updated: 1 } });
      expect(annotationsOf(world)).toEqual([]);
      expect(await world.sync()).toMatchObject({ summary: { unchanged: 4 } });
      await world.configure(OWN);
      await using process = await world.start();
      expect((await planTargets(process.app)).targets.map(({ action }) => action)).toEqual(
        Array(3).fill('unchanged'),
      );
      expect(await process.sync()).toMatchObject({ ok: true, summary: { updated: 0, unchanged: 3 } });
      expect(dataOf(world)).toEqual(OWNED);
    },
  );

  it('an owned Secret keeps the keys of an earlier merge after somebody removed the ownership labels', async () => {
    const world = await open(merge('m'));
    await world.configure(OWN + owning('m'));
    await world.sync();
    world.cluster.edit(SHARED, (raw) => {
      const metadata = objectIn(raw, 'metadata') ?? {};
      return { ...raw, metadata: { ...metadata, labels: {} } };
    });
    await world.configure(OWN);
    expect(await world.sync()).toMatchObject({ ok: true, summary: { updated: 0, unchanged: 3 } });
    expect(dataOf(world)).toEqual(OWNED);
  });

  it('a Secret that another instance has taken over keeps our merged keys when our merge ends', async () => {
    const world = await open(merge('m'));
    world.cluster.edit(SHARED, (raw) => {
      const labels = { 'secretbridge.dev/instance': 'other', 'secretbridge.dev/mapping': 'theirs' };
      return { ...raw, metadata: { ...objectIn(raw, 'metadata'), labels } };
    });
    await world.configure(OWN);
    expect(await world.sync()).toMatchObject({ ok: true, summary: { updated: 0, unchanged: 3 } });
    expect(dataOf(world)).toEqual(WITH_KEY);
  });
});
