import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { planTargets } from '../../src/commands/plan.ts';
import { releaseHeld } from '../../src/commands/release.ts';
import { AppError } from '../../src/core/errors.ts';
import type { Mapping, TargetSpec } from '../../src/core/mapping.ts';
import { mapping, source } from '../sync/sample.ts';
import { base64, openWorld, syncOnly, type World, type WorldOptions } from './world.ts';

const SHARED = { namespace: 'apps', secret: 'shared' };

function one(name: string, key: string, target: Partial<TargetSpec>, more: Partial<Mapping> = {}): Mapping {
  return mapping({
    name,
    data: { [key]: source({ key: 'token' }) },
    ...more,
    target: { ...mapping().target, secret: name, ...target },
  });
}

const open = (mappings: readonly Mapping[], more: WorldOptions = {}): Promise<World> =>
  openWorld({ ...more, mappings });
const dataOf = (world: World, id = SHARED) => world.cluster.raw(id)?.data;
const metadataOf = (world: World, id = SHARED) => objectIn(world.cluster.raw(id) ?? {}, 'metadata');
const outcomes = async (world: World) =>
  (await world.sync()).targets.map(({ mapping: name, kind, error }) =>
    [name, kind, error?.code].filter(Boolean).join(' '),
  );

describe('mappings that merge into one Secret', () => {
  const merge = { secret: 'shared', mode: 'merge' } as const;
  const two = [one('a', 'A', merge), one('b', 'B', merge)];
  const theirs = { data: { THEIRS: base64('t') }, metadata: { labels: { team: 'x' } } };

  it('if several mappings merge into one Secret, they wait until the Secret exists, and then write one after the other', async () => {
    const world = await open(two);
    expect(await outcomes(world)).toEqual(['a failed SECRET_MISSING', 'b failed SECRET_MISSING']);
    expect(world.cluster.writes).toEqual([]);
    world.cluster.put(SHARED, theirs);
    expect(await outcomes(world)).toEqual(['a updated', 'b updated']);
    expect(dataOf(world)).toEqual({ THEIRS: base64('t'), A: base64('tok'), B: base64('tok') });
    expect(metadataOf(world)?.labels).toEqual({ team: 'x' });
    expect(await outcomes(world)).toEqual(['a unchanged', 'b unchanged']);
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('mappings that merge into one Secret remove only the keys that they wrote themselves', async () => {
    const world = await open(two);
    world.cluster.put(SHARED, theirs);
    await world.sync();
    await world.configure([one('a', 'A2', merge), one('b', 'B', merge)]);
    expect(await outcomes(world)).toEqual(['a updated', 'b unchanged']);
    expect(dataOf(world)).toEqual({ THEIRS: base64('t'), A2: base64('tok'), B: base64('tok') });
  });

  it('if several mappings merge into one Secret, they leave the Secret unchanged while another manager holds one of their keys with another value', async () => {
    const world = await open([one('a', 'THEIRS', merge)]);
    world.cluster.put(SHARED, theirs);
    const before = world.cluster.raw(SHARED);
    expect(await outcomes(world)).toEqual(['a refused CONFLICT']);
    expect(world.cluster.raw(SHARED)).toEqual(before);
  });

  it.each([
    ['a label', { labels: { team: 'ours' } }, 'label team'],
    ['an annotation', { annotations: { note: 'ours' } }, 'annotation note'],
  ])(
    'mappings that merge into one Secret are refused before any write if another manager holds %s with another value',
    async (_, marks, what) => {
      const world = await open([one('a', 'A', { ...merge, ...marks })]);
      const metadata = { labels: { team: 'theirs' }, annotations: { note: 'theirs' } };
      world.cluster.put(SHARED, { ...theirs, metadata });
      const before = world.cluster.raw(SHARED);
      const [outcome] = (await world.sync()).targets;
      expect(outcome).toMatchObject({
        kind: 'refused',
        error: { code: 'CONFLICT', detail: `others hold ${what} with another value` },
      });
      expect(world.cluster.raw(SHARED)).toEqual(before);
      expect(world.records.filter(({ phase }) => phase === 'intent')).toEqual([]);
    },
  );

  it('if several mappings merge into one Secret, they update only the labels and annotations that they set themselves', async () => {
    const marked = (value: string) => one('a', 'A', { ...merge, labels: { tier: value } });
    const world = await open([marked('x')]);
    world.cluster.put(SHARED, theirs);
    expect(await outcomes(world)).toEqual(['a updated']);
    await world.configure([marked('y')]);
    expect(await outcomes(world)).toEqual(['a updated']);
    expect(metadataOf(world)?.labels).toEqual({ team: 'x', tier: 'y' });
  });

  it('mappings that merge into one Secret are refused if the source of a key changes and another manager also holds that key', async () => {
    const world = await open([one('a', 'A', merge)]);
    world.cluster.put(SHARED, { ...theirs, data: { ...theirs.data, A: base64('tok') } });
    expect(await outcomes(world)).toEqual(['a updated']);
    world.store.put('token', 'new', '2');
    expect(await outcomes(world)).toEqual(['a refused CONFLICT']);
    expect(dataOf(world)).toMatchObject({ A: base64('tok') });
  });

  it('mappings that merge into one Secret are shown as an update of the Secret in a plan', async () => {
    const world = await open([one('a', 'A', merge)]);
    world.cluster.put(SHARED, theirs);
    await using process = await world.start();
    const { targets } = await planTargets(process.app);
    expect(targets).toMatchObject([{ action: 'update', keys: [{ name: 'A', action: 'add' }] }]);
  });

  it("if several mappings merge into one Secret, they read the Secret to verify a write for which the API server's answer was lost", async () => {
    const world = await open([one('a', 'A', merge)]);
    world.cluster.put(SHARED, theirs);
    world.cluster.loseAnswer('merge', new AppError('CLUSTER_UNAVAILABLE'));
    expect(await outcomes(world)).toEqual(['a updated']);
    expect(world.records.at(-2)).toMatchObject({
      phase: 'outcome',
      outcome: 'ok',
      note: 'read from the cluster',
    });
  });

  it('if several mappings merge into one Secret, they write only the new version of a source whose bytes stay identical', async () => {
    const world = await open([one('a', 'A', merge)]);
    world.cluster.put(SHARED, theirs);
    await world.sync();
    world.store.put('token', 'tok', '2');
    const before = dataOf(world);
    const [outcome] = (await world.sync()).targets;
    expect(outcome).toMatchObject({ kind: 'updated', keys: [{ name: 'A', action: 'keep' }] });
    expect(dataOf(world)).toEqual(before);
  });
});

describe('end of a merge', () => {
  const merge = { secret: 'shared', mode: 'merge' } as const;
  const going = { onMappingRemoved: 'delete' } as const;
  const theirs = { data: { THEIRS: base64('t') }, metadata: { labels: { team: 'x' } } };
  // Because of these additional targets, the brake allows more deletions.
  const more = Array.from({ length: 9 }, (_, n) => one(`other-${n}`, 'K', {}));

  async function merged(mappings: readonly Mapping[]): Promise<World> {
    const world = await open([...mappings, ...more]);
    world.cluster.put(SHARED, theirs);
    await world.sync();
    return world;
  }

  it.each([
    [
      'another mapping still merges',
      [one('b', 'B', merge, going)],
      { THEIRS: base64('t'), B: base64('tok') },
    ],
    ['no mapping merges any more', [], { THEIRS: base64('t') }],
  ])('a mapping that stops merging loses only its own keys if %s', async (_, staying, expected) => {
    const world = await merged([one('a', 'A', merge, going), ...staying]);
    await world.configure([...staying, ...more]);
    const report = await world.sync();
    expect(report.targets.filter(({ kind }) => kind === 'updated')).toMatchObject([
      { mapping: 'a', target: SHARED, keys: [{ name: 'A', action: 'remove' }] },
    ]);
    expect(dataOf(world)).toEqual(expected);
    expect(metadataOf(world)?.labels).toEqual({ team: 'x' });
    expect(world.cluster.writes.map(({ kind }) => kind)).not.toContain('remove');
    expect((await world.sync()).summary).toMatchObject({ updated: 0, failed: 0 });
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('the end of a merge leaves our keys in the Secret, unless the mapping had `onMappingRemoved: delete`', async () => {
    const world = await merged([one('a', 'A', merge)]);
    await world.configure(more);
    expect((await world.sync()).summary).toMatchObject({ updated: 0, deleted: 0 });
    expect(dataOf(world)).toEqual({ THEIRS: base64('t'), A: base64('tok') });
  });

  it("the end of a merge is verified by a read of the Secret if the API server's answer is lost", async () => {
    const world = await merged([one('a', 'A', merge, going)]);
    await world.configure(more);
    world.cluster.loseAnswer('merge', new AppError('CLUSTER_UNAVAILABLE'));
    expect((await world.sync()).summary).toMatchObject({ updated: 1, failed: 0 });
    expect(dataOf(world)).toEqual({ THEIRS: base64('t') });
  });

  it('the end of a merge waits until the mapping has merged its keys into its new Secret', async () => {
    const OTHER = { namespace: 'apps', secret: 'other' };
    const world = await merged([one('a', 'A', merge, going)]);
    await world.configure([one('a', 'A', { secret: 'other', mode: 'merge' }, going), ...more]);
    expect(await world.sync()).toMatchObject({
      summary: { updated: 0, failed: 1 },
      waiting: [{ mapping: 'a', target: SHARED, until: OTHER }],
    });
    // The new merge is refused, because another owner holds one of its keys.
    world.cluster.put(OTHER, { data: { A: base64('x') } });
    expect(await world.sync()).toMatchObject({ summary: { updated: 0, refused: 1 } });
    expect(dataOf(world)).toEqual({ THEIRS: base64('t'), A: base64('tok') });
    world.cluster.put(OTHER, { data: {} });
    expect(await world.sync()).toMatchObject({ ok: true, summary: { updated: 2 }, waiting: [] });
    expect([dataOf(world), dataOf(world, OTHER)]).toEqual([{ THEIRS: base64('t') }, { A: base64('tok') }]);
  });

  it('the end of a merge is not caused by a copied annotation', async () => {
    const world = await merged([one('a', 'A', merge, going)]);
    const { annotations } = metadataOf(world) ?? {};
    const other = { namespace: 'apps', secret: 'other' };
    world.cluster.put(other, { data: { A: base64('x') }, metadata: { annotations } });
    await world.configure([...more, one('b', 'B', { secret: 'other', mode: 'merge' })]);
    await world.sync();
    expect(dataOf(world, other)).toEqual({ A: base64('x'), B: base64('tok') });
    expect((await world.sync()).summary).toMatchObject({ updated: 0 });
  });
});

describe('immutable target', () => {
  const ID = { namespace: 'apps', secret: 'r' };
  const before = one('r', 'K', { immutable: true });
  const again = one('r', 'K', { immutable: true, recreate: true });
  const more = Array.from({ length: 9 }, (_, n) => one(`other-${n}`, 'K', {}));

  async function made(mappings: readonly Mapping[] = [again]): Promise<World> {
    const world = await open([before]);
    await world.sync();
    await world.configure(mappings);
    world.store.put('token', 'new', '2');
    return world;
  }

  it('an immutable target is refused as IMMUTABLE unless the mapping has `recreate: true`', async () => {
    const world = await made([before]);
    expect(await outcomes(world)).toEqual(['r refused IMMUTABLE']);
    expect(dataOf(world, ID)).toEqual({ K: base64('tok') });
  });

  it('an immutable target gets new data by a deletion and a creation, each with its own intent and outcome', async () => {
    const world = await made();
    const uid = metadataOf(world, ID)?.uid;
    const at = world.records.length;
    expect(await outcomes(world)).toEqual(['r updated']);
    expect(dataOf(world, ID)).toEqual({ K: base64('new') });
    expect(metadataOf(world, ID)?.uid).not.toBe(uid);
    expect(world.story(at).filter((line) => /delete|create/.test(line))).toEqual([
      'delete intent r ok',
      'delete outcome r ok',
      'create intent r ok',
      'create outcome r ok',
    ]);
    expect(await outcomes(world)).toEqual(['r unchanged']);
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('in every recreation, an immutable target keeps foreign labels and annotations, and loses the labels and annotations that its mapping no longer sets', async () => {
    const labelled = (original: Mapping, labels: Readonly<Record<string, string>>): Mapping => ({
      ...original,
      target: { ...original.target, labels },
    });
    const world = await open([labelled(before, { ours: 'a' })]);
    await world.sync();
    world.cluster.edit(ID, (raw) => {
      const { labels, annotations, ...metadata } = objectIn(raw, 'metadata') ?? {};
      const theirs = {
        labels: { ...Object(labels), team: 'x' },
        annotations: {
          ...Object(annotations),
          'example.com/note': 'theirs',
          'secretbridge.dev/made-up': '1',
        },
      };
      return { ...raw, metadata: { ...metadata, ...theirs } };
    });
    await world.configure([labelled(again, { mine: 'b' })]);
    const marksOf = () => {
      const { labels, annotations } = metadataOf(world, ID) ?? {};
      return { ...Object(labels), ...Object(annotations) };
    };
    for (const value of ['second', 'third']) {
      world.store.put('token', value, value);
      expect(await outcomes(world)).toEqual(['r updated']);
      const writes = world.cluster.writes.length;
      expect(await outcomes(world)).toEqual(['r unchanged']);
      expect(world.cluster.writes).toHaveLength(writes);
      expect(dataOf(world, ID)).toEqual({ K: base64(value) });
      expect(marksOf()).toMatchObject({ team: 'x', mine: 'b', 'example.com/note': 'theirs' });
      expect(Object.keys(marksOf())).not.toContain('ours');
      expect(Object.keys(marksOf())).not.toContain('secretbridge.dev/made-up');
      // The brake allows only one deletion within its time window.
      await world.clock.advance(25 * 60 * 60_000);
    }
    // Labels and annotations that the mapping no longer sets are still removed from the new Secret.
    await world.configure([again]);
    expect(await outcomes(world)).toEqual(['r updated']);
    expect(marksOf()).toMatchObject({ team: 'x', 'example.com/note': 'theirs' });
    expect(Object.keys(marksOf())).not.toContain('mine');
    expect(await outcomes(world)).toEqual(['r unchanged']);
  });

  it('the recreation of an immutable target removes the annotation in which `kubectl apply` saved old values', async () => {
    const world = await open([before]);
    await world.sync();
    const noted = { 'kubectl.kubernetes.io/last-applied-configuration': `{"data":{"K":"${base64('tok')}"}}` };
    world.cluster.edit(ID, (raw) => {
      const { annotations, ...metadata } = objectIn(raw, 'metadata') ?? {};
      return { ...raw, metadata: { ...metadata, annotations: { ...Object(annotations), ...noted } } };
    });
    await world.configure([again]);
    world.store.put('token', 'new', '2');
    expect(await outcomes(world)).toEqual(['r updated']);
    expect(JSON.stringify(world.cluster.raw(ID))).not.toContain(base64('tok'));
    expect(JSON.stringify(world.cluster.raw(ID))).not.toContain('dev/carried');
    expect(await outcomes(world)).toEqual(['r unchanged']);
  });

  it('an immutable target is recreated once, even if several people release the change concurrently', async () => {
    const world = await open([before, one('second', 'K', { immutable: true })]);
    await world.sync();
    await world.configure([again, one('second', 'K', { immutable: true, recreate: true })]);
    world.store.put('token', 'new', '2');
    const [held] = (await world.sync()).held;
    const at = world.records.length;
    await using process = await world.start();
    const ends = await Promise.allSettled([1, 2].map(() => releaseHeld(process.app, held?.id ?? '')));
    expect(ends.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(ends.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'NOT_HELD' } });
    expect(world.story(at).filter((line) => /^(release|delete|create)/.test(line))).toEqual([
      'release r ok',
      'delete intent r ok',
      'delete outcome r ok',
      'create intent r ok',
      'create outcome r ok',
    ]);
    expect(dataOf(world, ID)).toEqual({ K: base64('new') });
  });

  it('an immutable target gets another type by a deletion and a creation', async () => {
    const world = await made([one('r', 'K', { type: 'example.com/other', recreate: true, immutable: true })]);
    expect(await outcomes(world)).toEqual(['r updated']);
    expect(world.cluster.raw(ID)?.type).toBe('example.com/other');
  });

  it('an immutable target is shown as an update in a plan, and the plan changes nothing', async () => {
    const world = await made();
    await using process = await world.start();
    const { targets, held } = await planTargets(process.app);
    expect(targets).toMatchObject([{ action: 'update', keys: [{ name: 'K', action: 'change' }] }]);
    expect(held).toEqual([]);
    expect(dataOf(world, ID)).toEqual({ K: base64('tok') });
  });

  it('an immutable target keeps its content if the cluster would refuse the new Secret', async () => {
    const world = await made();
    world.cluster.fail('create', new AppError('CLUSTER_REFUSED'));
    expect(await outcomes(world)).toEqual(['r failed CLUSTER_REFUSED']);
    expect(dataOf(world, ID)).toEqual({ K: base64('tok') });
    expect(world.cluster.writes.map(({ kind }) => kind)).not.toContain('remove');
    const logged = (line: string) => line.startsWith('refuse');
    expect(world.story().filter(logged)).toEqual(['refuse r failed CLUSTER_REFUSED']);
    world.cluster.fail('create', new AppError('CLUSTER_REFUSED'));
    await world.sync();
    expect(world.story().filter(logged)).toHaveLength(1);
  });

  it('an immutable target keeps its content if somebody changed the Secret between the read and the deletion', async () => {
    const world = await made();
    world.cluster.before('remove', () =>
      world.cluster.edit(ID, (raw) => ({ ...raw, metadata: { ...objectIn(raw, 'metadata'), labels: {} } })),
    );
    expect(await outcomes(world)).toEqual(['r failed CONFLICT']);
    expect(dataOf(world, ID)).toEqual({ K: base64('tok') });
  });

  it('an immutable target is created by the next run after a crash between the deletion and the creation', async () => {
    const world = await made();
    world.cluster.fail('create', undefined, new AppError('CLUSTER_UNAVAILABLE'));
    expect((await outcomes(world))[0]).toMatch(/^r failed/);
    expect(world.cluster.raw(ID)).toBeUndefined();
    expect(await outcomes(world)).toEqual(['r created']);
  });

  it("an immutable target counts toward the brake's limit", async () => {
    const several = [1, 2, 3].map((n) => one(`r${n}`, 'K', { immutable: true, recreate: true }));
    const world = await open([...several, ...more]);
    await world.sync();
    await world.configure(
      [...several, ...more].map((entry) => ({ ...entry, data: { K: source({ key: 'db' }) } })),
    );
    const [first, second, third, ...others] = (await outcomes(world)).toSorted().toReversed();
    expect([first, second, third]).toEqual(['r3 held HELD', 'r2 held HELD', 'r1 held HELD']);
    expect(new Set(others.map((other) => other.split(' ')[1]))).toEqual(new Set(['updated']));
    expect(dataOf(world, { namespace: 'apps', secret: 'r1' })).toEqual({ K: base64('tok') });
  });

  it('a foreign immutable Secret with copies of our labels is not deleted', async () => {
    const world = await made();
    const raw = world.cluster.raw(ID);
    world.cluster.forget(ID);
    const { labels, annotations } = objectIn(raw ?? {}, 'metadata') ?? {};
    world.cluster.put(ID, {
      type: 'example.com/theirs',
      data: { K: base64('theirs') },
      metadata: { labels, annotations },
    });
    expect(await outcomes(world)).toEqual(['r refused IMMUTABLE']);
    expect(dataOf(world, ID)).toEqual({ K: base64('theirs') });
  });
});

describe('target in namespaces chosen by a selector', () => {
  const selecting = (name: string, more: Partial<TargetSpec> = {}) =>
    one(name, 'K', { namespaces: [], namespaceSelector: { matchLabels: { team: 'a' } }, ...more });

  it('a target in namespaces chosen by a selector is created in all matching namespaces, including those that were created later', async () => {
    const namespaces: Record<string, Record<string, string>> = {
      x: { team: 'a' },
      y: { team: 'b' },
      apps: {},
    };
    const world = await open([selecting('s')], { cluster: { namespaces } });
    const report = await world.sync();
    expect(report.targets.map(({ target, kind }) => `${target.namespace} ${kind}`)).toEqual(['x created']);
    expect(world.cluster.calls.namespaces).toBe(1);
  });

  it('a target chosen by a selector is not treated as orphaned if the namespaces cannot be listed, and all other targets are written', async () => {
    const world = await open([selecting('s', {}), one('fixed', 'K', {})], {
      cluster: { namespaces: { x: { team: 'a' }, apps: {} } },
    });
    const removing = (original: Mapping): Mapping => ({ ...original, onMappingRemoved: 'delete' });
    await world.configure([removing(selecting('s')), removing(one('fixed', 'K', {}))]);
    await world.sync();
    expect(dataOf(world, { namespace: 'x', secret: 's' })).toEqual({ K: base64('tok') });
    world.cluster.fail('namespaces', new AppError('CLUSTER_FORBIDDEN'));
    const report = await world.sync();
    expect(report.targets.map(({ target, kind, error }) => [target.namespace, kind, error?.code])).toEqual([
      ['*', 'failed', 'CLUSTER_FORBIDDEN'],
      ['apps', 'unchanged', undefined],
    ]);
    expect(dataOf(world, { namespace: 'x', secret: 's' })).toEqual({ K: base64('tok') });
  });

  it('a target in namespaces chosen by a selector is removed only from those namespaces that have lost the label', async () => {
    const namespaces: Record<string, Record<string, string>> = {
      x: { team: 'a' },
      y: { team: 'a' },
      apps: {},
    };
    const removing = (original: Mapping): Mapping => ({ ...original, onMappingRemoved: 'delete' });
    const all = [removing(selecting('s')), removing(one('fixed', 'K', {}))];
    const world = await open(all, { cluster: { namespaces } });
    world.cluster.put({ namespace: 'y', secret: 's' }, { type: 'Opaque', data: {} });
    expect(await outcomes(world)).toEqual(['fixed created', 's created', 's refused NOT_OWNED']);
    world.cluster.namespace('x', {});
    await world.sync();
    expect(dataOf(world, { namespace: 'x', secret: 's' })).toBeUndefined();
  });

  it('a target in namespaces chosen by a selector belongs to the first of two mappings, and the second mapping reports the conflict', async () => {
    const world = await open([selecting('z', { secret: 'same' }), selecting('b', { secret: 'same' })], {
      cluster: { namespaces: { x: { team: 'a' } } },
    });
    expect(await outcomes(world)).toEqual(['b created', 'z refused TARGET_CLAIMED']);
    expect(await outcomes(world)).toEqual(['b unchanged', 'z refused TARGET_CLAIMED']);
  });
});

describe('mapping with templates', () => {
  const templated = (text: string) =>
    one('t', 'TOKEN', {}, { template: { data: { 'app.yaml': text }, only: true } });
  const ID = { namespace: 'apps', secret: 't' };

  it('a mapping with templates writes the rendered values, and renders them again after the source changes', async () => {
    const world = await open([templated('token: {{ TOKEN | json }}\n')]);
    await world.sync();
    expect(dataOf(world, ID)).toEqual({ 'app.yaml': base64('token: "tok"\n') });
    expect((await syncOnly(world))?.kind).toBe('unchanged');
    world.store.put('token', 'new', '2');
    expect((await syncOnly(world))?.kind).toBe('updated');
    expect(dataOf(world, ID)).toEqual({ 'app.yaml': base64('token: "new"\n') });
  });

  it('a mapping with templates keeps the content of the target if a template fails', async () => {
    const world = await open([templated('{{ TOKEN }}')]);
    await world.sync();
    await world.configure([templated('{{ TOKEN }}{{ MISSING }}')]);
    expect(await syncOnly(world)).toMatchObject({
      kind: 'failed',
      error: { code: 'TEMPLATE_FAILED', subject: 'template app.yaml' },
    });
    expect(dataOf(world, ID)).toEqual({ 'app.yaml': base64('tok') });
  });

  it('a mapping with templates reports a missing source before a failed template', async () => {
    const world = await open([templated('{{ TOKEN }}')]);
    await world.sync();
    world.store.absent('token');
    expect(await syncOnly(world)).toMatchObject({ kind: 'failed', error: { code: 'SOURCE_ABSENT' } });
  });
});
